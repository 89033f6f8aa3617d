"""PINNs of other libraries on the problems of `pinn_table.py`, each in an interpreter of its own.

    python pinn_peers.py jinns burgers '{"seed": 0, "seconds": 9, "width": 20, …}' reference.npz out.npz

Every peer has the network (tanh, inputs rescaled to [−1, 1], sines and cosines of a periodic axis) and the ansatz
u = g + D · N of ours, in float64, and trains with what its documentation shows for accuracy: see `pinn_jinns.py`,
`pinn_deepxde.py` and `pinn_jno.py`. `out.npz` holds predictions on the points of `reference.npz` at several `seconds`
of training, without compilation and without these predictions; the last line printed describes the run in JSON.
"""

import json
import sys
from importlib import import_module, metadata

import numpy as np
from pinn_problems import WORKS

SETTINGS: dict[str, tuple[str, dict]] = {  # the module and what else its `train` is given
    "jinns": ("pinn_jinns", {}),
    "jinns_ngd": ("pinn_jinns", {"natural": True}),
    "deepxde": ("pinn_deepxde", {}),
    "jno": ("pinn_jno", {}),
}


def main(library: str, problem: str, options: str, reference: str, out: str) -> None:
    module, more = SETTINGS[library]
    points = np.load(reference)["z"]
    found = import_module(module).train(WORKS[problem], json.loads(options), points, **more)
    np.savez(out, seconds=found.pop("seconds"), predictions=np.array(found.pop("predictions")))
    found["versions"] = {name: metadata.version(name) for name in found.pop("packages")}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
