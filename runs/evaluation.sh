#!/usr/bin/env bash
# Makes every figure of docs/evaluation.md: reports of the shipped CaloGANs, the shower library and the
# parametrised shower beside held-out Geant4, the leaderboard, Table II and Table III of the CaloGAN paper.
# What is in the folder already is kept, so that a stopped run goes on; Geant4 showers of one's own can be put
# there as geant4_*.h5 (to compare with) and learned_*.h5 (for the baselines to learn from), in calogan's cells.
# Needs Geant4's data and, where no showers are put there, some hours.
set -euo pipefail
folder=${1:-evaluation}
mkdir -p "$folder"
cd "$folder"
simulated() { # particle, name, number, seed
    [ -e "$2.h5" ] && return
    caloforge simulate calogan_fine -p "$1" --energy 1:100 -n "$3" --seed "$4" -o "fine_$2.h5" --workers 2
    caloforge rebin "fine_$2.h5" calogan -o "$2.h5"
}
baseline() { # model, particle, name, options of the training
    if [ ! -e "$1_$3.onnx" ]; then
        caloforge train "$1" --data "learned_$3.h5" -o "training_$1_$3" --held-out 300 --seed 1 "${@:4}"
        caloforge export "training_$1_$3/best" -o "$1_$3.onnx" --reference "geant4_$3.h5"
    fi
    [ -e "$1_$3.h5" ] || caloforge generate --model "$1_$3.json" -p "$2" --energy "geant4_$3.h5" --seed 5 -o "$1_$3.h5"
}
simulated e+ geant4_eplus 4500 11
simulated gamma geant4_gamma 4500 12
simulated pi+ geant4_piplus 4000 13
simulated e+ learned_eplus 3000 21
simulated gamma learned_gamma 3000 22
for pair in "e+ eplus" "gamma gamma" "pi+ piplus"; do
    set -- $pair
    [ -e "calogan_$2.h5" ] || caloforge generate -p "$1" --energy "geant4_$2.h5" --seed 5 -o "calogan_$2.h5"
done
for pair in "e+ eplus" "gamma gamma"; do
    set -- $pair
    baseline shower_library "$1" "$2" --epochs 1 --batch 270
    baseline parametrised "$1" "$2" --epochs 40 --batch 270 --average 0.98 --validate-every 50
done
for sample in {calogan,shower_library,parametrised}_{eplus,gamma}; do
    particle=${sample##*_}
    [ -e "report_$sample/metrics.json" ] ||
        caloforge evaluate "geant4_$particle.h5" "$sample.h5" --training "learned_$particle.h5" -o "report_$sample"
done
for particle in piplus gamma; do
    [ -e "classes_eplus_$particle.json" ] ||
        caloforge evaluate classes --reference geant4_eplus.h5 "geant4_$particle.h5" \
            --generated calogan_eplus.h5 "calogan_$particle.h5" -o "classes_eplus_$particle.html"
done
[ -e speed/generate.json ] || caloforge benchmark generate -o speed --model calogan_eplus --model calogan_gamma \
    --model shower_library_eplus.json --model shower_library_gamma.json \
    --model parametrised_eplus.json --model parametrised_gamma.json
for particle in eplus gamma; do
    caloforge compare report_*_"$particle" --speed speed/generate.json -o "leaderboard_$particle.html"
done
