# Reference values for inference/factor_models/invariance_steps.py and scales/invariances.py.
# Rscript tests/reference/invariance.R   (needs lavaan, semTools, psych, jsonlite; run from the repository root)
# Writes invariance.json, bfi_gender.csv (gender of the rows of bfi_complete.csv) and invariance_waves.csv (planted).
# Reads bfi_complete.csv (polychoric.R), ordinal_groups.csv (ordinal_structures.R). The case on Holzinger and Swineford
# is made only where ../shared/data is.
suppressPackageStartupMessages({library(lavaan); library(semTools); library(jsonlite)})
here <- "tests/reference"
holzinger <- "../shared/data/cfa/HolzingerSwineford1939.csv"
tight <- list(control = list(rel.tol = 1e-14, eval.max = 20000, iter.max = 20000), optim.force.converged = TRUE)
measures <- c("chisq", "df", "cfi", "rmsea", "chisq.scaled", "chisq.scaling.factor", "cfi.robust", "rmsea.robust",
              "cfi.scaled", "rmsea.scaled")
values_of <- function(fit) {
  known <- fitMeasures(fit)
  free <- parTable(fit)[parTable(fit)$free > 0, ]
  list(fit = as.list(unclass(known[intersect(measures, names(known))])), n = sum(lavInspect(fit, "nobs")),
       estimates = data.frame(lhs = free$lhs, op = free$op, rhs = free$rhs, group = if (is.null(free$group)) 1 else free$group,
                              est = free$est, se = free$se))
}
difference <- function(one, two, ...) {
  test <- lavTestLRT(one, two, ...)
  list(statistic = test[2, "Chisq diff"], df = test[2, "Df diff"], p = test[2, "Pr(>Chisq)"])
}
sequence <- function(fits, ...) {
  c(list(steps = lapply(fits, values_of)),
    list(differences = setNames(lapply(seq_along(fits)[-1], function(i) difference(fits[[i - 1]], fits[[i]], ...)),
                                names(fits)[-1])))
}
linear <- list(configural = "", metric = "loadings", scalar = c("loadings", "intercepts"),
               strict = c("loadings", "intercepts", "residuals"))
ml <- function(model, data, group, estimator, ...) lapply(linear, function(equal)
  do.call("cfa", c(list(model, data = data, group = group, group.equal = equal, std.lv = TRUE, estimator = estimator,
                        group.label = sort(unique(data[[group]])), ...), tight)))
# one score test for every item that the last step of a pair holds equal
scores <- function(fit, op) {
  table <- parTable(fit)
  tests <- lavTestScore(fit)$uni
  row <- match(tests$lhs, table$plabel)
  data.frame(item = ifelse(table$op[row] == "=~", table$rhs[row], table$lhs[row]), op = table$op[row],
             statistic = tests$X2, df = tests$df)[table$op[row] == op, ]
}
steps <- list(configural = "", threshold = "thresholds", metric = c("thresholds", "loadings"),
              scalar = c("thresholds", "loadings", "intercepts"),
              strict = c("thresholds", "loadings", "intercepts", "residuals"))
ordinal <- function(model, data, group, parameterization, wanted = names(steps)) {
  items <- unique(lavaanify(model)$rhs[lavaanify(model)$op == "=~"])
  lapply(steps[wanted], function(equal) {
    written <- do.call(measEq.syntax, list(model, data = data[c(items, group)], ordered = items, group = group,
      parameterization = parameterization, ID.fac = "std.lv", ID.cat = "Wu.Estabrook.2016", group.equal = equal))
    suppressWarnings(do.call("cfa", c(list(as.character(written), data = data, ordered = items, group = group,
                                           group.label = sort(unique(data[[group]])),
                                           parameterization = parameterization, estimator = "WLSMV"),
                                      if (parameterization == "theta") tight)))   # delta fails when told to go on
  })
}
ordinal_sequence <- function(...) sequence(ordinal(...), method = "satorra.2000", A.method = "delta")

bfi <- read.csv(file.path(here, "bfi_complete.csv"))
source_bfi <- psych::bfi[complete.cases(psych::bfi[, 1:25]), ]
stopifnot(all(as.matrix(source_bfi[, 1:25]) == as.matrix(bfi)))
write.csv(data.frame(gender = source_bfi$gender), file.path(here, "bfi_gender.csv"), row.names = FALSE)
bfi$gender <- source_bfi$gender
block <- function(names) paste(sapply(names, function(f) paste(f, "=~", paste0(f, 1:5, collapse = " + "))), collapse = "\n")
five <- block(c("A", "C", "E", "N", "O"))

set.seed(29)
n <- 500
shared <- matrix(rnorm(2 * n), n) %*% chol(matrix(c(1, 0.7, 0.7, 1), 2)) + rep(c(0, 0.3), each = n)
unique_part <- matrix(rnorm(n * 4), n)
waves <- lapply(1:2, function(w) sapply(1:4, function(i)
  2 + 0.1 * i + c(0.8, 0.7, 0.6, 0.7)[i] * shared[, w] + 0.4 * unique_part[, i] + 0.5 * rnorm(n)))
gone <- sample(n, 300)
waves[[1]][gone[1:150], ] <- NA
waves[[2]][gone[151:300], ] <- NA
panel <- data.frame(person = seq_len(n), round(do.call(cbind, waves), 4))
names(panel)[-1] <- c(paste0("x", 1:4, "a"), paste0("x", 1:4, "b"))
write.csv(panel, file.path(here, "invariance_waves.csv"), row.names = FALSE, quote = FALSE, na = "")
longitudinal <- function(step) {
  labels <- function(stem, equal) list(paste0(stem, 1:4, "a"), paste0(stem, 1:4, if (equal) "a" else "b"))
  load <- labels("l", step >= 1); level <- labels("i", step >= 2); left <- labels("r", step >= 3)
  lines <- sapply(1:2, function(w) {
    s <- c("a", "b")[w]; x <- paste0("x", 1:4, s)
    c(paste0("f", s, " =~ ", paste0("NA*", x, " + ", load[[w]], "*", x, collapse = " + ")),
      paste0(x, " ~ ", level[[w]], "*1"), paste0(x, " ~~ ", left[[w]], "*", x),
      paste0("f", s, " ~~ ", if (w == 2 && step >= 1) "NA*" else "1*", "f", s),
      paste0("f", s, " ~ ", if (w == 2 && step >= 2) "NA*1" else "0*1"))
  })
  c(lines, paste0("x", 1:4, "a ~~ x", 1:4, "b"))
}
along <- setNames(lapply(0:3, function(step) do.call("lavaan", c(list(longitudinal(step), data = panel, missing = "fiml",
  estimator = "MLR", auto.cov.lv.x = TRUE), tight))), names(linear))

planted <- read.csv(file.path(here, "ordinal_groups.csv"))
binary <- data.frame((bfi[paste0("N", 1:5)] > 3) * 1, gender = bfi$gender)
three <- data.frame(lapply(bfi[paste0("N", 1:5)], function(x) findInterval(x, c(3, 5))), gender = bfi$gender)
five_fits <- ml(five, bfi, "gender", "MLR")
one_fits <- ml(block("E"), bfi, "gender", "ML")
out <- list(
  five = sequence(five_fits),
  one = sequence(one_fits),
  score_metric = scores(one_fits$metric, "=~"),
  score_scalar = scores(one_fits$scalar, "~1"),
  score_strict = scores(one_fits$strict, "~~"),
  ordinal_theta = ordinal_sequence(block("E"), bfi, "gender", "theta"),
  ordinal_delta = ordinal_sequence(block("E"), bfi, "gender", "delta", c("configural", "threshold", "metric", "scalar")),
  three = ordinal_sequence(block("N"), three, "gender", "theta", c("configural", "metric", "scalar", "strict")),
  binary = ordinal_sequence(block("N"), binary, "gender", "theta", c("configural", "scalar", "strict")),
  mixed = ordinal_sequence("f =~ y1 + x2 + x3 + x4\ng =~ y5 + x6 + x7", planted, "group", "theta",
                           c("configural", "threshold", "scalar", "strict")),
  waves = sequence(along))
if (file.exists(holzinger)) {
  schools <- read.csv(holzinger)
  three_factors <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
  out$schools_ml <- sequence(ml(three_factors, schools, "school", "ML"))
  out$schools_mlr <- sequence(ml(three_factors, schools, "school", "MLR"))
}
write_json(out, file.path(here, "invariance.json"), digits = NA, auto_unbox = TRUE)
