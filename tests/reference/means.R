# Writes means.json: t intervals and tests from R stats::t.test. Run: Rscript tests/reference/means.R
library(jsonlite)
set.seed(7)
x <- round(rnorm(14, 3.2, 0.8), 2)
y <- round(x + rnorm(14, 0.3, 0.5), 2)
z <- round(rnorm(9, 3.6, 1.1), 2)
pack <- function(t) list(estimate = unname(t$estimate), statistic = unname(t$statistic), df = unname(t$parameter),
                         p_value = t$p.value, conf = as.numeric(t$conf.int), std_error = t$stderr)
out <- list(x = x, y = y, z = z, mean = pack(t.test(x)), paired = pack(t.test(y, x, paired = TRUE)), welch = pack(t.test(z, x)))
write_json(out, "tests/reference/means.json", digits = 16, auto_unbox = TRUE)
