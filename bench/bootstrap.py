"""Processor time of scipy.stats.bootstrap on the mean of the values in a file."""
import sys, time
import numpy
from scipy import stats

values = numpy.loadtxt(sys.argv[1])
for x in (values, values[:1024]):
    generator = numpy.random.default_rng(1)
    start = time.process_time()
    # A batch of 100 resamples at a time: without one it asks for 8 GB.
    limits = stats.bootstrap((x,), numpy.mean, n_resamples=10_000, confidence_level=0.95, method="percentile",
                             vectorized=True, batch=100, random_state=generator).confidence_interval
    seconds = time.process_time() - start
    print(f"scipy.stats.bootstrap\t{len(x)}\t{len(x)}\t{seconds:.4f}\t{limits.low:.3f}\t{limits.high:.3f}", flush=True)
