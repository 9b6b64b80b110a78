#!/usr/bin/env bash
# Trains the flows of docs/flows.md and docs/l2l_flows.md, and compares them with held-out Geant4 showers: CaloFlow's
# teacher and student and CaloINN for e+, gamma and pi+ in the CaloGAN calorimeter, on the showers and against those of
# runs/evaluation.sh (give its folder), and layer-to-layer flows for photons in the ILD.
# Files in the folder are kept, so that a stopped run continues. Needs Geant4's data, and a day of two cores.
set -euo pipefail
folder=${1:-evaluation}
mkdir -p "$folder"
cd "$folder"
simulate() { # geometry, particle, energies, number, seed, name, options
    [ -e "$6.h5" ] ||
        caloforge simulate "$1" -p "$2" --energy "$3" -n "$4" --seed "$5" -o "$6.h5" --workers 2 "${@:7}"
}
learn() { # model, name of what is made, file, options of the training
    [ -e "$2.onnx" ] && return
    caloforge train "$1" --data "$3" -o "training_$2" --threads 2 "${@:4}"
    caloforge export "training_$2/best" -o "$2.onnx"
}
judge() { # name of a model, particle, showers to compare with, those it learned
    [ -e "$1.h5" ] || caloforge generate --model "$1.json" -p "$2" --energy "$3" --seed 5 -o "$1.h5"
    [ -e "report_$1/metrics.json" ] || caloforge evaluate "$3" "$1.h5" --training "$4" -o "report_$1"
}
calogan() { # particle, name, number that is learned, their seed, seed of those held out
    simulate calogan_fine "$1" 1:100 "$3" "$4" "fine_$2"
    simulate calogan "$1" 1:100 4500 "$5" "geant4_$2"
    [ -e "learned_$2.h5" ] || caloforge rebin "fine_$2.h5" calogan -o "learned_$2.h5"
    local known=(--geometry calogan --set "particles=[\"$1\"]" --held-out 400)
    learn caloflow_teacher "caloflow_teacher_$2" "learned_$2.h5" "${known[@]}" --batch 128 --validate-every 380 \
        --set energy_epochs=300 --set epochs=60 --set rate=5e-4
    learn caloflow "caloflow_$2" "learned_$2.h5" "${known[@]}" --batch 1024 --validate-every 10 \
        --from "training_caloflow_teacher_$2/best"
    learn caloinn "caloinn_$2" "learned_$2.h5" "${known[@]}" --batch 256 --validate-every 100 --precision bfloat16
    for model in caloflow_teacher caloflow caloinn; do
        judge "${model}_$2" "$1" "geant4_$2.h5" "learned_$2.h5"
    done
}
calogan e+ eplus 5000 11 21
calogan gamma gamma 4500 12 22
calogan pi+ piplus 4500 13 23
simulate ild_ecal gamma 10:100 10000 61 ild_learned --physics em
simulate ild_ecal gamma 10:100 2000 62 ild_geant4 --physics em
for name in ild_learned ild_geant4; do # the models draw cells of at least 0.1 MeV
    [ -e "whole_$name.h5" ] || caloforge rebin "$name.h5" ild_ecal --threshold 0.1 -o "whole_$name.h5"
    [ -e "core_$name.h5" ] || caloforge rebin "$name.h5" ild_ecal_core --crop --threshold 0.1 -o "core_$name.h5"
done
learn l2l_flows l2l_ild_gamma core_ild_learned.h5 --validate-every 2000
learn conv_l2l_flows conv_l2l_ild_gamma whole_ild_learned.h5 --validate-every 10000
judge l2l_ild_gamma gamma core_ild_geant4.h5 core_ild_learned.h5
judge conv_l2l_ild_gamma gamma whole_ild_geant4.h5 whole_ild_learned.h5
[ -e flows_speed/generate.json ] || caloforge benchmark generate -o flows_speed \
    $(printf -- '--model=%s.json ' {caloflow_teacher,caloflow,caloinn}_{eplus,gamma,piplus})
for particle in eplus gamma piplus; do
    caloforge compare report_*_"$particle" --speed flows_speed/generate.json -o "leaderboard_flows_$particle.html"
done
