#!/usr/bin/env bash
# Makes every figure of docs/evaluation.md: reports of the shipped models, the shower library and the parametrised
# shower compared with held-out Geant4, the leaderboards, checks of a million showers of each shipped model, Table II
# and Table III of the CaloGAN paper.
# Files in the folder are kept, so that a stopped run continues; your own Geant4 showers can be put there as
# geant4_*.h5 (to compare with) and learned_*.h5 (to learn from), in calogan's cells.
# The showers learned_*.h5 are of the seeds that the fast and precise models were trained on (with others, see their
# cards); those of geant4_*.h5 were not used for any training. Needs Geant4's data and, without your own showers,
# hours.
set -euo pipefail
CALOFORGE_MODELS=$(cd "$(dirname "$0")/../zoo" && pwd) # the CaloGANs, wherever caloforge is installed
export CALOFORGE_MODELS
folder=${1:-evaluation}
mkdir -p "$folder"
cd "$folder"
held_out() { # particle, name, seed
    [ -e "geant4_$2.h5" ] ||
        caloforge simulate calogan -p "$1" --energy 1:100 -n 4500 --seed "$3" -o "geant4_$2.h5" --workers 2
}
learned() { # particle, name, number, seed
    [ -e "learned_$2.h5" ] && return
    caloforge simulate calogan_fine -p "$1" --energy 1:100 -n "$3" --seed "$4" -o "fine_$2.h5" --workers 2
    caloforge rebin "fine_$2.h5" calogan -o "learned_$2.h5"
}
sample() { # model, or its record, particle, name, name of the sample
    [ -e "$4.h5" ] || caloforge generate --model "$1" -p "$2" --energy "geant4_$3.h5" --seed 5 -o "$4.h5"
}
baseline() { # model, particle, name, options of the training
    if [ ! -e "$1_$3.onnx" ]; then
        caloforge train "$1" --data "learned_$3.h5" -o "training_$1_$3" --held-out 300 --seed 1 "${@:4}"
        caloforge export "training_$1_$3/best" -o "$1_$3.onnx" --reference "geant4_$3.h5"
    fi
    sample "$1_$3.json" "$2" "$3" "$1_$3"
}
held_out e+ eplus 21
held_out gamma gamma 22
held_out pi+ piplus 23
learned e+ eplus 5000 11
learned gamma gamma 4500 12
learned pi+ piplus 4500 13
for pair in "e+ eplus" "gamma gamma" "pi+ piplus"; do
    set -- $pair
    for model in fast precise calogan; do
        sample "${model}_$2" "$1" "$2" "${model}_$2"
    done
done
for pair in "e+ eplus" "gamma gamma"; do
    set -- $pair
    baseline shower_library "$1" "$2" --epochs 1 --batch 100
    baseline parametrised "$1" "$2" --epochs 40 --batch 270 --average 0.98 --validate-every 50
done
shipped=({fast,precise,calogan}_{eplus,gamma,piplus})
baselines=({shower_library,parametrised}_{eplus,gamma})
for sample in "${shipped[@]}" "${baselines[@]}"; do
    particle=${sample##*_}
    [ -e "report_$sample/metrics.json" ] ||
        caloforge evaluate "geant4_$particle.h5" "$sample.h5" --training "learned_$particle.h5" -o "report_$sample"
done
for particle in piplus gamma; do
    [ -e "classes_eplus_$particle.json" ] ||
        caloforge evaluate classes --reference geant4_eplus.h5 "geant4_$particle.h5" \
            --generated calogan_eplus.h5 "calogan_$particle.h5" -o "classes_eplus_$particle.html"
done
# Exit code 1 says that showers failed, as some of the CaloGANs' do: which and why is on the page.
[ -e reliability.json ] || caloforge evaluate reliability --reference geant4_eplus.h5 \
    --reference geant4_gamma.h5 --reference geant4_piplus.h5 -o reliability.html || true
[ -e speed/generate.json ] || caloforge benchmark generate -o speed "${shipped[@]/#/--model=}" \
    $(printf -- '--model=%s.json ' "${baselines[@]}")
for particle in eplus gamma piplus; do
    caloforge compare report_*_"$particle" --speed speed/generate.json -o "leaderboard_$particle.html"
done
