# Reference values for smstudy.inference.ceilings.location_and_spread: a parabola with a standard deviation that changes
# log-linearly, by nlme::gls (maximum likelihood), on necessity.csv.
# usage: Rscript tests/reference/spread.R   (writes spread.json beside itself)
suppressMessages({library(jsonlite); library(nlme)})

folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
people <- read.csv(file.path(folder, "necessity.csv"))
people$x <- (people$scale_a - 3) / 2
strict <- glsControl(tolerance = 1e-14, msTol = 1e-14, maxIter = 500, msMaxIter = 500)
fit <- gls(outcome ~ x + I(x^2), people, weights = varExp(form = ~x), method = "ML", control = strict)
slope <- as.numeric(coef(fit$modelStruct$varStruct))
values <- list(
  version = R.version.string,
  middle = as.numeric(fitted(fit)),
  spread = fit$sigma * exp(slope * people$x)
)
write_json(values, file.path(folder, "spread.json"), digits = 15, auto_unbox = TRUE)
