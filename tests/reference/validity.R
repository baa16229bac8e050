# Reference values for inference/psychometrics/discriminant.py, inference/factor_models/method_factors.py, scales/{validities,method_variance}.py.
# Rscript tests/reference/validity.R   (needs lavaan, semTools, jsonlite; run from the repository root, with ../shared/data)
# Reads bfi.csv (see reliability.R); writes validity.json. lavaan stops early, so a few steps of Newton follow.
# Means are part of the models: where residuals are fixed, the robust scale depends on that in the fifth digit.
suppressPackageStartupMessages({library(lavaan); library(semTools); library(jsonlite)})
here <- "tests/reference"
bfi <- read.csv(file.path(here, "bfi.csv"))
turned <- c("A1", "C4", "C5", "E1", "E2", "O2", "O5")
bfi[turned] <- 7 - bfi[turned]
trello <- read.csv("../shared/data/trello_utaut2/utaut2_216.csv")
wiki <- suppressWarnings(as.data.frame(lapply(read.csv("../shared/data/wiki4he/wiki4HE.csv", na.strings = "?"), as.numeric)))
hs <- read.csv("../shared/data/cfa/HolzingerSwineford1939.csv")
sets <- list(
  bfi = list(data = bfi, scales = sapply(c("A", "C", "E", "N", "O"), paste0, 1:5, simplify = FALSE)),
  holzinger = list(data = hs, scales = list(visual = paste0("x", 1:3), textual = paste0("x", 4:6), speed = paste0("x", 7:9))),
  trello = list(data = trello, scales = list(HAB = paste0("HAB", 1:4), PE = paste0("PE", 1:4), EE = paste0("EE", 1:4),
                                             HM = paste0("HM", 1:3))),
  wiki = list(data = wiki, scales = list(PU = paste0("PU", 1:3), PEU = paste0("PEU", 1:3), Qu = paste0("Qu", 1:5),
                                         SA = paste0("SA", 1:3), Use = paste0("Use", 1:5))))

newton <- function(fit, data, estimator, ...) {
  slope <- function(fit) max(abs(lavTech(fit, "gradient")))
  for (step in 1:9) {
    hessian <- lavTech(fit, "hessian")
    if (rcond(hessian) < 1e-12) break
    table <- parTable(fit)
    free <- match(seq_len(max(table$free)), table$free)
    table$ustart[free] <- table$est[free] - solve(hessian, as.vector(lavTech(fit, "gradient")))
    table$est <- table$se <- table$start <- NULL
    closer <- suppressWarnings(lavaan(table, data, estimator = estimator, optim.method = "none",
                                      optim.force.converged = TRUE, se = "default", ...))
    if (slope(closer) >= slope(fit)) break
    fit <- closer
  }
  cat(estimator, slope(fit), "\n")
  fit
}
fitted <- function(model, data, estimator = "MLR", ...) {
  fit <- suppressWarnings(cfa(model, data, estimator = estimator, std.lv = TRUE, meanstructure = TRUE,
                              control = list(iter.max = 5000, eval.max = 20000, rel.tol = 1e-14), ...))
  newton(fit, data, estimator, ...)
}
# Newton's steps know nothing of parameters that are equal.
tied <- function(model, data) {
  fit <- suppressWarnings(cfa(model, data, estimator = "MLR", std.lv = TRUE, meanstructure = TRUE,
                              control = list(iter.max = 5000, eval.max = 20000)))
  cat("tied", max(abs(lavTech(fit, "gradient"))), "\n")
  fit
}
measured <- function(scales) paste(sapply(names(scales), function(f) paste(f, "=~", paste(scales[[f]], collapse = " + "))),
                                   collapse = "\n")
# The same model with every loading and residual named, and the measures defined from them.
defined <- function(scales) {
  lines <- c()
  for (f in names(scales)) {
    x <- scales[[f]]
    l <- paste0("l_", x); e <- paste0("e_", x)
    lines <- c(lines, paste(f, "=~", paste(paste0(l, "*", x), collapse = " + ")), paste0(x, " ~~ ", e, "*", x),
      paste0("ave_", f, " := (", paste0(l, "^2", collapse = "+"), ")/(", paste0(l, "^2+", e, collapse = "+"), ")"),
      paste0("std_", f, " := (", paste0(l, "^2/(", l, "^2+", e, ")", collapse = "+"), ")/", length(x)),
      paste0("cr_", f, " := (", paste0(l, collapse = "+"), ")^2/((", paste0(l, collapse = "+"), ")^2+",
             paste0(e, collapse = "+"), ")"))
  }
  for (pair in combn(names(scales), 2, simplify = FALSE)) {
    p <- paste(pair, collapse = "_")
    lines <- c(lines, paste0(pair[1], " ~~ r_", p, "*", pair[2]),
      paste0("first_", p, " := ave_", pair[1], " - r_", p, "^2"),
      paste0("second_", p, " := ave_", pair[2], " - r_", p, "^2"))
  }
  paste(lines, collapse = "\n")
}
validity <- function(set) {
  scales <- set$scales
  items <- unlist(scales)
  data <- set$data[items]
  complete <- data[complete.cases(data), ]
  simple <- measured(scales)
  ml <- fitted(simple, complete, "ML")
  standard <- fitted(simple, as.data.frame(scale(complete)), "ML")
  named <- parameterEstimates(fitted(defined(scales), complete, "MLR"))
  named <- named[named$op == ":=" | (named$op == "~~" & named$lhs %in% names(scales) & named$lhs != named$rhs), ]
  pairwise <- cor(data, use = "pairwise.complete.obs")
  list(scales = scales, n = nrow(complete), n_all = sum(rowSums(!is.na(data)) > 0),
    ave = as.numeric(AVE(ml)), ave_standardized = as.numeric(AVE(standard)),
    composite = as.numeric(compRelSEM(ml, obs.var = FALSE)),
    label = ifelse(named$op == ":=", named$lhs, paste0("r_", named$lhs, "_", named$rhs)), est = named$est, se = named$se,
    htmt = htmt(simple, data = complete, htmt2 = FALSE), htmt2 = htmt(simple, data = complete, htmt2 = TRUE),
    htmt_pairwise = htmt(simple, sample.cov = pairwise, htmt2 = FALSE),
    htmt2_pairwise = htmt(simple, sample.cov = pairwise, htmt2 = TRUE))
}

# Method factors: how the models of common_method() look in lavaan.
standing <- function(fit, scales) {
  m <- fitMeasures(fit)
  list(chisq = m[["chisq"]], df = m[["df"]], scaled = m[["chisq.scaled"]], scale = m[["chisq.scaling.factor"]],
       correlations = lavInspect(fit, "cor.lv")[names(scales), names(scales)], std = inspect(fit, "std")$lambda)
}
compared <- function(wide, narrow) {
  t <- lavTestLRT(wide, narrow, method = "satorra.bentler.2001")
  list(statistic = t[["Chisq diff"]][2], df = t[["Df diff"]][2], p = t[["Pr(>Chisq)"]][2])
}
equal_factor <- function(scales, items) paste0(measured(scales), "\nmethod =~ ", paste0("1*", items, collapse = " + "),
  "\nmethod ~~ NA*method\n", paste0("method ~~ 0*", names(scales), collapse = "\n"))
method_factor <- function(set, items = unlist(set$scales)) {
  data <- set$data[unlist(set$scales)]
  data <- data[complete.cases(data), ]
  base <- fitted(measured(set$scales), data)
  wide <- fitted(equal_factor(set$scales, items), data)
  if (!lavInspect(wide, "converged")) return(list(items = items, base = standing(base, set$scales)))
  p <- parameterEstimates(wide)
  own <- p[p$lhs == "method" & p$rhs == "method", ]
  list(items = items, base = standing(base, set$scales), wide = standing(wide, set$scales), variance = own$est, se = own$se,
       difference = compared(wide, base))
}
# Loadings and variances of the marker are fixed at those of the first model. Williams, Hartman & Cavazotte (2010): CFA, Baseline, Method-C, Method-U, Method-R.
marker <- function(set, marker_name, unequal) {
  substantive <- set$scales[setdiff(names(set$scales), marker_name)]
  m <- set$scales[[marker_name]]
  items <- unlist(substantive)
  data <- set$data[unlist(set$scales)]
  data <- data[complete.cases(data), ]
  everything <- fitted(measured(set$scales), data)
  est <- lavInspect(everything, "est")
  f <- function(x) format(x, digits = 17)
  held <- paste(c(paste(marker_name, "=~", paste0(f(est$lambda[m, marker_name]), "*", m, collapse = " + ")),
    paste0(m, " ~~ ", f(diag(est$theta)[m]), "*", m), paste0(marker_name, " ~~ 1*", marker_name),
    paste0(marker_name, " ~~ 0*", names(substantive))), collapse = "\n")
  base_model <- paste(measured(substantive), held, sep = "\n")
  base <- fitted(base_model, data)
  phi <- lavInspect(base, "cov.lv")
  pairs <- combn(names(substantive), 2, simplify = FALSE)
  restricted <- paste(sapply(pairs, function(p) paste(p[1], "~~", paste0(f(phi[p[1], p[2]]), "*", p[2]))), collapse = "\n")
  c_model <- paste(base_model, paste(marker_name, "=~", paste0("a*", items, collapse = " + ")), sep = "\n")
  u_model <- paste(base_model, paste(marker_name, "=~", paste0(items, collapse = " + ")), sep = "\n")
  c <- tied(c_model, data)
  u <- fitted(u_model, data)
  r <- (if (unequal) fitted else tied)(paste(if (unequal) u_model else c_model, restricted, sep = "\n"), data)
  std <- inspect(if (unequal) u else c, "std")
  list(marker = marker_name, cfa = standing(everything, substantive), baseline = standing(base, substantive),
    constrained = standing(c, substantive), unconstrained = standing(u, substantive),
    restricted = standing(r, substantive),
    c_b = compared(c, base), u_c = compared(u, c), r = compared(if (unequal) u else c, r),
    std = std$lambda[items, marker_name])
}
# Answers with gaps.
gaps <- function(set, names) {
  p <- parameterEstimates(fitted(defined(set$scales[names]), set$data, missing = "fiml", em.h1.tol = 1e-12,
                                 em.h1.iter.max = 20000))
  p <- p[p$op == ":=", ]
  list(scales = set$scales[names], label = p$lhs, est = p$est, se = p$se)
}
values <- list(
  versions = list(R = as.character(getRversion()), lavaan = as.character(packageVersion("lavaan")),
                  semTools = as.character(packageVersion("semTools"))),
  turned = turned, validity = lapply(sets, validity), gaps = gaps(sets$bfi, c("A", "C")),
  method = list(bfi_reversed = method_factor(sets$bfi, turned), holzinger = method_factor(sets$holzinger),
                trello = method_factor(sets$trello), wiki = method_factor(sets$wiki)),
  marker = list(bfi = marker(sets$bfi, "O", TRUE), holzinger = marker(sets$holzinger, "speed", FALSE)))
write(toJSON(values, digits = 14, auto_unbox = TRUE, na = "null"), file.path(here, "validity.json"))
