"""Writes the 1,797 handwritten digits of scikit-learn in random order: 1,497 for training, 300 held out.

Each row of x.npy and held-x.npy is an image of 8×8 pixels in [0, 1]; t.npy and held-t.npy are the labels. The .csv
files have the same contents, for tools that work on lines.
The images: E. Alpaydin and C. Kaynak (1998), https://doi.org/10.24432/C50P49, CC BY 4.0.

Needs: pip install numpy scikit-learn
"""
import numpy as np
from sklearn.datasets import load_digits

pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(1).permutation(len(pixels))
x, t = pixels[order] / 16, labels[order].astype("i8")
for name, rows in (("", slice(None, -300)), ("held-", slice(-300, None))):
    np.save(f"{name}x.npy", x[rows])
    np.save(f"{name}t.npy", t[rows])
    np.savetxt(f"{name}x.csv", x[rows], fmt="%g", delimiter=",")
    np.savetxt(f"{name}t.csv", t[rows], fmt="%d")
print(len(x), "images:", len(x) - 300, "for training, 300 held out")
