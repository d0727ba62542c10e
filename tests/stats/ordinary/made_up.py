"""Made-up values; what R 4.2 gives for them stands in the tests."""

import numpy as np

X = np.array([3.1, 5.4, 2.2, 8.9, 7.7, 6.1, 9.3, 1.5, 4.8, 10.2, 12.6, 11.1])
Y = np.array([2.4, 3.9, 4.1, 6.0, 9.2, 5.5, 7.8, 1.1, 8.3, 6.9, 10.4, 12.7])
Z = np.array([1.2, 0.3, 2.5, 1.9, 3.3, 0.8, 2.2, 1.7, 2.9, 0.1, 3.8, 1.4])
