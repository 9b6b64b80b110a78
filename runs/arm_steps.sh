#!/usr/bin/env bash
# Makes the second table of docs/arm.md, after runs/arm.sh in the same folder: what each next step of the published
# model contributes alone, what a model gains that learns a read-out itself (own_*), or that is tuned to it with 200
# showers (tuned_*), and incident energies of 1 to 100 GeV.
# Files in the folder are kept, so that a stopped run continues. Needs Geant4's data, and hours.
set -euo pipefail
runs=$(cd "$(dirname "$0")" && pwd)
read_outs=$runs/../docs/read_outs
cd "${1:-arm}"
seen=(arm_{192x12_36x48,192x24_48x24,192x48_48x48,192x4_12x12,48x12_12x12,48x24_48x24,48x48_48x48,48x4_36x48})
unseen=(between_96x24_24x24 beyond_transition)
cells=(--set 'weights="cells"' --set 'depths=[1, 1]' --set channels=8 --set rate=0.004)
next=(--set 'head="mixture"' --set 'centre="network"' --set 'layers="conditional"' "${cells[@]}")
simulate() { # number, energies, seed, name
    [ -e "$4.h5" ] || caloforge simulate calogan_fine -p gamma --energy "$2" -n "$1" --seed "$3" -o "$4.h5" --workers 2
}
simulate 200 65 46 tuning
simulate 6000 log:1:100 34 learned_energies
simulate 1200 log:1:100 44 energies
learn() { # model, options of the training
    [ -e "$1.onnx" ] && return
    caloforge train arm --average 0.998 --validate-every 100000 --threads 1 -o "training_$1" "${@:2}"
    caloforge export "training_$1" -o "$1.onnx"
}
four() { # a file, whose showers are each read out four times a pass
    printf -- '--data=%s ' "$1" "$1" "$1" "$1"
}
plan=("${seen[@]/#/--geometry=}" --data learned.h5 --held-out 500 --batch 64 --epochs 20)
learn step_published "${plan[@]}"
learn step_mixture "${plan[@]}" --set 'head="mixture"' --set 'centre="network"'
learn step_conditional "${plan[@]}" --set 'layers="conditional"'
learn step_centre "${plan[@]}" --set 'centre="network"'
learn step_cells "${plan[@]}" --set 'centre="network"' --set 'weights="cells"'
for name in "${unseen[@]}"; do
    read_out=$read_outs/arm_$name.toml
    learn "tuned_$name" --data tuning.h5 --geometry "$read_out" --held-out 20 --batch 20 --epochs 30 "${next[@]}" \
        --set rate=0.001 --from training_arm_gamma
    learn "own_$name" $(four learned.h5) --geometry "$read_out" --held-out 500 --batch 64 --epochs 6 "${next[@]}"
done
learn step_energies $(four learned_energies.h5) "${seen[@]/#/--geometry=}" --held-out 500 --batch 64 --epochs 5 \
    "${next[@]}" --set 'energy_range=[1, 100]'
compare() { # model, name of the read-out, its file or name, simulated showers, prefix of what is written
    [ -e "$4_$2.h5" ] || caloforge rebin "$4.h5" "$3" -o "$4_$2.h5"
    [ -e "$5_$2.h5" ] ||
        caloforge generate --model "$1.json" -p gamma --energy "$4_$2.h5" --geometry "$3" --seed 5 -o "$5_$2.h5"
    [ -e "report_$5_$2/metrics.json" ] || caloforge evaluate "$4_$2.h5" "$5_$2.h5" -o "report_$5_$2" --no-classifiers
}
everywhere() { # model, simulated showers, prefix of what is written
    compare "$1" arm_48x4_36x48 arm_48x4_36x48 "$2" "$3"
    for name in "${unseen[@]}"; do compare "$1" "arm_$name" "$read_outs/arm_$name.toml" "$2" "$3"; done
}
for model in published mixture conditional centre cells energies; do everywhere "step_$model" geant4 "step_$model"; done
everywhere step_energies energies wide
for name in "${unseen[@]}"; do
    for model in "tuned_$name" "own_$name"; do
        compare "$model" "arm_$name" "$read_outs/arm_$name.toml" geant4 "$model"
    done
done
python "$runs/arm_table.py" report_{step,tuned,own}_* report_arm_gamma_arm_{48x4_36x48,between_96x24_24x24,beyond_transition} |
    tee steps.md
python "$runs/arm_table.py" report_wide_* | tee wide.md
