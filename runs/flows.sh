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
keep_above() { # name, read-out, MeV: empties cells that hold less, as published
    [ -e "above_$1.h5" ] || caloforge rebin "$1.h5" "$2" --threshold "$3" -o "above_$1.h5"
}
judge() { # name of a model, its record or its name in the zoo, particle, read-out, MeV, what to compare with, learned
    [ -e "$1.h5" ] || caloforge generate --model "$2" -p "$3" --energy "$6.h5" --seed 5 -o "$1.h5"
    for name in "$1" "$6" "$7"; do keep_above "$name" "$4" "$5"; done
    [ -e "report_$1/metrics.json" ] ||
        caloforge evaluate "above_$6.h5" "above_$1.h5" --training "above_$7.h5" -o "report_$1"
}
calogan() { # particle, name, number that is learned, their seed, seed of those held out, passes of the teacher
    simulate calogan_fine "$1" 1:100 "$3" "$4" "fine_$2"
    simulate calogan "$1" 1:100 3000 "$5" "geant4_$2"
    [ -e "learned_$2.h5" ] || caloforge rebin "fine_$2.h5" calogan -o "learned_$2.h5"
    local known=(--data "learned_$2.h5" --geometry calogan --set "particles=[\"$1\"]" --held-out 400)
    learn caloflow_teacher "caloflow_teacher_$2" best "${known[@]}" --batch 128 --validate-every 400 \
        --set energy_epochs=120 --set epochs="$6" --set rate=1e-3
    learn caloflow "caloflow_$2" best "${known[@]}" --from "training_caloflow_teacher_$2/best" --batch 256 \
        --validate-every 20 --set 'updates=[2, 2, 1, 1]' --set piece=128 --set epochs=4
    learn caloinn "caloinn_$2" best "${known[@]}" --batch 256 --validate-every 100 --precision bfloat16
    for model in caloflow_teacher caloflow caloinn; do
        judge "${model}_$2" "${model}_$2.json" "$1" calogan 0.01 "geant4_$2" "learned_$2"
    done
    for model in fast precise calogan; do
        judge "${model}_$2" "${model}_$2" "$1" calogan 0.01 "geant4_$2" "learned_$2"
    done
    [ -e "speed_$2/generate.json" ] || caloforge benchmark generate --batches 1,128,1024 -o "speed_$2" \
        --model "fast_$2" --model "precise_$2" --model "calogan_$2" \
        $(printf -- "--model %s_$2.json " caloflow_teacher caloflow caloinn)
    caloforge compare report_*_"$2" --speed "speed_$2/generate.json" -o "leaderboard_$2.html"
}
calogan e+ eplus 5400 11 21 70
calogan gamma gamma 9000 12 22 40
calogan pi+ piplus 8400 13 23 40
simulate ild_ecal gamma 10:100 10000 61 ild_learned --physics em
simulate ild_ecal gamma 10:100 2000 62 ild_geant4 --physics em
keep_above ild_learned ild_ecal 0.1 # the models draw cells of at least 0.1 MeV
keep_above ild_geant4 ild_ecal 0.1
for name in learned geant4; do
    [ -e "core_$name.h5" ] || caloforge rebin "above_ild_$name.h5" ild_ecal_core --crop -o "core_$name.h5"
done
learn l2l_flows l2l_ild_gamma . --data core_learned.h5 --held-out 400 --validate-every 2000
learn conv_l2l_flows conv_l2l_ild_gamma . --data above_ild_learned.h5 --held-out 400 --batch 64 --set epochs=3
judge l2l_ild_gamma l2l_ild_gamma.json gamma ild_ecal_core 0.1 core_geant4 core_learned
judge conv_l2l_ild_gamma conv_l2l_ild_gamma.json gamma ild_ecal 0.1 ild_geant4 ild_learned
[ -e speed_ild/generate.json ] || caloforge benchmark generate --batches 1,10,128 --energies 10,50,100 --physics em \
    -o speed_ild --model l2l_ild_gamma.json --model conv_l2l_ild_gamma.json
