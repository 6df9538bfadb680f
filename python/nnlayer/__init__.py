"""Forward and backward passes of neural-network layers, computed and checked by the nnlayer program that is beside this package.

>>> import nnlayer
>>> nnlayer.run("softmax", x=[1.0, 2.0, 3.0], forward=True)["y"]
array([0.09003057, 0.24472847, 0.66524096])
>>> nnlayer.check(lambda x: np.maximum(x, 0), "relu", backward=lambda dout, x: dout * (x > 0)).verdict
'PASS'
"""

from ._check import Mistake, Report, check
from ._program import Error, NnlayerWarning, find_program
from ._run import layers, run

__all__ = ["Error", "Mistake", "NnlayerWarning", "Report", "check", "find_program", "layers", "run"]
