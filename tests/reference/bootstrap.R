# Reference values for tests/inference/test_bootstrap.py: boot::boot.ci on 999 draws that are kept, log variance of 25 values.
# Run in this folder: Rscript bootstrap.R   (writes bootstrap.json)
suppressPackageStartupMessages({library(boot); library(jsonlite)})
set.seed(20250602)
values <- round(rexp(25) + .1, 3)
statistic <- function(x, rows) log(mean(x[rows]^2) - mean(x[rows])^2)
drawn <- boot(values, statistic, R = 999)
ci <- boot.ci(drawn, type = c("perc", "bca"), L = empinf(data = values, statistic = statistic, type = "jack", stype = "i"))
write_json(list(values = values, counts = unclass(boot.array(drawn)), percentile = ci$percent[4:5], bca = ci$bca[4:5]),
           "bootstrap.json", digits = 16, auto_unbox = TRUE)
