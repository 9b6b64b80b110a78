#!/usr/bin/env bash
# Makes the tables and figures of docs/arm.md and docs/cascade.md: trains three models on the eight read-outs of the
# paper, and compares them with held-out Geant4 showers on these and on read-outs that they never saw:
#   arm_published  the geometry-aware autoregressive model as published
#   arm_gamma      its next step: a sparse mixture, layers that know of each other, weights as functions of cells
#   arm_blind      arm_gamma without positions and sizes of cells
# and beside them cascade_gamma, which ships.
# Files in the folder are kept, so that a stopped run continues. Needs Geant4's data, and hours.
set -euo pipefail
runs=$(cd "$(dirname "$0")" && pwd)
docs=$runs/../docs
folder=${1:-arm}
mkdir -p "$folder"
cd "$folder"
seen=(arm_{192x12_36x48,192x24_48x24,192x48_48x48,192x4_12x12,48x12_12x12,48x24_48x24,48x48_48x48,48x4_36x48})
models=(arm_published arm_gamma arm_blind cascade_gamma)
simulate() { # geometry, number, seed, name
    [ -e "$4.h5" ] || caloforge simulate "$1" -p gamma --energy 65 -n "$2" --seed "$3" -o "$4.h5" --workers 2
}
simulate calogan_fine "${SHOWERS:-5000}" 33 learned
simulate calogan_fine "${HELD_OUT:-2000}" 47 geant4
learn() { # model, options of the training
    [ -e "$1.onnx" ] && return
    caloforge train arm --data learned.h5 "${seen[@]/#/--geometry=}" --average 0.998 --held-out 500 \
        --validate-every 100000 --threads 1 -o "training_$1" "${@:2}"
    caloforge export "training_$1" -o "$1.onnx"
}
# The file given again reads each shower out once more, by another read-out.
next=(--data learned.h5 --data learned.h5 --data learned.h5 --batch 64 --epochs "${EPOCHS:-6}"
    --set 'head="mixture"' --set 'centre="network"' --set 'layers="conditional"' --set 'weights="cells"'
    --set 'depths=[1, 1]' --set channels=8 --set rate=0.004)
learn arm_published --batch 128 --epochs 80
learn arm_gamma "${next[@]}"
learn arm_blind "${next[@]}" --set sizes=false
# With thousands of cells the classifiers of a single report take a quarter of an hour.
classifiers() { [ "$1" = arm_48x12_12x12 ] && echo --classifiers || echo --no-classifiers; }
compare() { # read-out, its file or name
    if [ ! -e "geant4_$1.h5" ]; then
        caloforge rebin geant4.h5 "$2" -o "geant4_$1.h5" ||
            caloforge simulate "$2" -p gamma --energy 65 -n "${HELD_OUT:-2000}" --seed 45 -o "geant4_$1.h5" --workers 2
    fi
    for model in "${models[@]}"; do
        own=$model
        [ -e "$model.json" ] && own=$model.json
        [ -e "${model}_$1.h5" ] ||
            caloforge generate --model "$own" -p gamma --energy "geant4_$1.h5" --geometry "$2" --seed 5 \
                -o "${model}_$1.h5"
        [ -e "report_${model}_$1/metrics.json" ] ||
            caloforge evaluate "geant4_$1.h5" "${model}_$1.h5" -o "report_${model}_$1" "$(classifiers "$1")"
    done
}
for name in "${seen[@]}"; do compare "$name" "$name"; done
for file in "$docs"/read_outs/arm_*.toml; do compare "$(basename "$file" .toml)" "$file"; done
# Consistency: showers of the finest read-out, summed to the coarsest, against those that are drawn in it.
for model in arm_published arm_gamma; do
    [ -e "summed_$model.h5" ] || caloforge rebin "${model}_arm_192x48_48x48.h5" arm_48x12_12x12 -o "summed_$model.h5"
    [ -e "consistency_$model/metrics.json" ] ||
        caloforge evaluate "summed_$model.h5" "${model}_arm_48x12_12x12.h5" -o "consistency_$model" --no-classifiers
done
python "$runs/arm_table.py" report_* --twins arm_gamma arm_blind | tee table.md
python "$runs/arm_table.py" consistency_* | tee consistency.md
python "$runs/read_out_figure.py" "$docs/read_outs.png" report_*
python "$runs/arm_figures.py" . "$docs"
