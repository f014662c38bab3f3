# Processor time of boot on the mean of the values in a file.
library(boot)
values <- scan(commandArgs(trailingOnly = TRUE)[1], quiet = TRUE)
for (n in c(length(values), 1024)) {
  x <- values[seq_len(n)]
  set.seed(1)
  start <- proc.time()
  # simple = TRUE draws the indexes of a resample when it needs them: all at once would be 4 GB.
  result <- boot(x, function(data, index) mean(data[index]), R = 10000, simple = TRUE)
  limits <- boot.ci(result, conf = 0.95, type = "perc")$percent[4:5]
  used <- proc.time() - start
  cat(sprintf("R boot\t%d\t%d\t%.4f\t%.3f\t%.3f\n", n, n, used[["user.self"]] + used[["sys.self"]], limits[1], limits[2]))
}
