#!/usr/bin/env bash
# Trains the flows of docs/flows.md and docs/l2l_flows.md, and compares them with held-out Geant4 showers: CaloFlow's
# teacher and student and CaloINN for e+, gamma and pi+ in the CaloGAN calorimeter, beside fast, precise and CaloGAN, and
# layer-to-layer flows for photons in the ILD. Run it in the checkout, for the models in zoo/.
# Files in the folder are kept, so that a stopped run continues. Needs Geant4's data, and a day of two cores.
set -euo pipefail
folder=${1:-flows}
mkdir -p "$folder"
cd "$folder"
simulate() { # geometry, particle, energies, number, seed, name, options
    [ -e "$6.h5" ] ||
        caloforge simulate "$1" -p "$2" --energy "$3" -n "$4" --seed "$5" -o "$6.h5" --workers 2 "${@:7}"
}
learn() { # model, name of what is made, folder of the training that is exported, options of the training
    [ -e "$2.onnx" ] && return
    caloforge train "$1" -o "training_$2" --threads 2 "${@:4}"
    caloforge export "training_$2/$3" --precision int8-weights -o "$2.onnx"
}
judge() { # name of a model, its record or its name in the zoo, particle, showers to compare with, those it learned
    [ -e "$1.h5" ] || caloforge generate --model "$2" -p "$3" --energy "$4" --seed 5 -o "$1.h5"
    [ -e "report_$1/metrics.json" ] || caloforge evaluate "$4" "$1.h5" --training "$5" -o "report_$1"
}
calogan() { # particle, name, number that is learned, their seed, seed of those held out, passes of teacher and student
    simulate calogan_fine "$1" 1:100 "$3" "$4" "fine_$2"
    simulate calogan "$1" 1:100 3000 "$5" "geant4_$2"
    [ -e "learned_$2.h5" ] || caloforge rebin "fine_$2.h5" calogan -o "learned_$2.h5"
    local known=(--data "learned_$2.h5" --geometry calogan --set "particles=[\"$1\"]" --held-out 400)
    learn caloflow_teacher "caloflow_teacher_$2" best "${known[@]}" --batch 128 --validate-every 400 \
        --set energy_epochs=200 --set epochs="$6" --set rate=5e-4
    learn caloflow "caloflow_$2" best "${known[@]}" --from "training_caloflow_teacher_$2/best" --batch 256 \
        --validate-every 100 --set 'updates=[2, 2, 1, 1]' --set piece=128 --set epochs="$7" --set rate=2e-3
    learn caloinn "caloinn_$2" best "${known[@]}" --batch 256 --validate-every 100 --precision bfloat16
    for model in caloflow_teacher caloflow caloinn; do
        judge "${model}_$2" "${model}_$2.json" "$1" "geant4_$2.h5" "learned_$2.h5"
    done
    for model in fast precise calogan; do
        judge "${model}_$2" "${model}_$2" "$1" "geant4_$2.h5" "learned_$2.h5"
    done
    [ -e "speed_$2/generate.json" ] || caloforge benchmark generate --batches 1,128,1024 -o "speed_$2" \
        --model "fast_$2" --model "precise_$2" --model "calogan_$2" \
        $(printf -- "--model %s_$2.json " caloflow_teacher caloflow caloinn)
    caloforge compare report_*_"$2" --speed "speed_$2/generate.json" -o "leaderboard_$2.html"
}
calogan e+ eplus 5400 11 21 60 30
calogan gamma gamma 9000 12 22 34 17
calogan pi+ piplus 8400 13 23 36 18
simulate ild_ecal gamma 10:100 10000 61 ild_learned --physics em
simulate ild_ecal gamma 10:100 2000 62 ild_geant4 --physics em
for name in ild_learned ild_geant4; do # the models draw cells of at least 0.1 MeV
    [ -e "whole_$name.h5" ] || caloforge rebin "$name.h5" ild_ecal --threshold 0.1 -o "whole_$name.h5"
    [ -e "core_$name.h5" ] || caloforge rebin "$name.h5" ild_ecal_core --crop --threshold 0.1 -o "core_$name.h5"
done
learn l2l_flows l2l_ild_gamma . --data core_ild_learned.h5 --held-out 400 --validate-every 2000
learn conv_l2l_flows conv_l2l_ild_gamma . --data whole_ild_learned.h5 --held-out 400 --batch 64 --set epochs=3
judge l2l_ild_gamma l2l_ild_gamma.json gamma core_ild_geant4.h5 core_ild_learned.h5
judge conv_l2l_ild_gamma conv_l2l_ild_gamma.json gamma whole_ild_geant4.h5 whole_ild_learned.h5
[ -e speed_ild/generate.json ] || caloforge benchmark generate --batches 1,10,128 --energies 10,50,100 --physics em \
    -o speed_ild --model l2l_ild_gamma.json --model conv_l2l_ild_gamma.json
