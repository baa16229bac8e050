# Reference values for smstudy/inference/factor_models/{normal_theory,full_information,fit_indices,modification}.py and
# smstudy/scales/confirmatory.py.
# Rscript tests/reference/confirmatory.R   (needs lavaan, jsonlite; run from the repository root, with ../shared/data/cfa)
# Writes confirmatory.json. lavaan's own tolerances are loose, so the search and the EM steps are told to go on.
suppressPackageStartupMessages({library(lavaan); library(jsonlite)})
here <- "tests/reference"
bfi <- read.csv(file.path(here, "bfi.csv"))
turned <- c("A1", "C4", "C5", "E1", "E2", "O2", "O5")
bfi[turned] <- 7 - bfi[turned]
hs <- read.csv("../shared/data/cfa/HolzingerSwineford1939.csv")
pd <- read.csv("../shared/data/cfa/PoliticalDemocracy.csv")
holes <- hs
holes$x5[seq(1, 301, 7)] <- NA
holes$x9[seq(2, 301, 5)] <- NA
holes$x1[seq(3, 301, 11)] <- NA
holes$x2[seq(3, 301, 22)] <- NA

three <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
one <- "g =~ x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9"
big5 <- paste(sapply(c("A", "C", "E", "N", "O"), function(s) paste(s, "=~", paste0(s, 1:5, collapse = " + "))), collapse = "\n")
method <- paste0(big5, "\nm =~ ", paste(turned, collapse = " + "), "\n",
                 paste(paste0("m ~~ 0*", c("A", "C", "E", "N", "O")), collapse = "\n"))
democracy <- paste("ind =~ x1 + x2 + x3", "dem60 =~ y1 + y2 + y3 + y4", "dem65 =~ y5 + y6 + y7 + y8", sep = "\n")
errors <- paste(democracy, "y1 ~~ y5", "y2 ~~ y4", "y2 ~~ y6", "y3 ~~ y7", "y4 ~~ y8", "y6 ~~ y8", sep = "\n")
second <- paste0(three, "\ngeneral =~ visual + textual + speed")

measures <- function(fit) { m <- fitMeasures(fit); as.list(m[is.finite(m)]) }
run <- function(model, data, estimator = "ML", modindices = FALSE, ...) {
  fit <- suppressWarnings(cfa(model, data, estimator = estimator, std.lv = TRUE, em.h1.tol = 1e-12, em.h1.iter.max = 20000,
                              control = list(iter.max = 5000, eval.max = 20000), ...))
  slope <- function(fit) max(abs(lavTech(fit, "gradient")))
  for (step in 1:9) {  # nlminb stops at slopes near 1e-6; steps of Newton from there to rounding
    table <- parTable(fit)
    free <- match(seq_len(max(table$free)), table$free)
    table$ustart[free] <- table$est[free] - solve(lavTech(fit, "hessian"), as.vector(lavTech(fit, "gradient")))
    table$est <- table$se <- table$start <- NULL
    closer <- suppressWarnings(lavaan(table, data, estimator = estimator, em.h1.tol = 1e-12, em.h1.iter.max = 20000,
                                      optim.method = "none", optim.force.converged = TRUE, se = "default", ...))
    if (slope(closer) >= slope(fit)) break
    fit <- closer
  }
  cat(slope(fit), "\n")
  p <- parameterEstimates(fit)
  s <- standardizedSolution(fit)
  group <- if (is.null(p$group)) rep(1, nrow(p)) else p$group
  out <- list(n = sum(lavInspect(fit, "nobs")), measures = measures(fit),
    lhs = p$lhs, op = p$op, rhs = p$rhs, group = group, est = p$est, se = p$se,
    std = s$est.std, std_se = s$se, std_low = s$ci.lower, std_high = s$ci.upper)
  if (modindices) {
    m <- modindices(fit)
    m <- m[m$op %in% c("=~", "~~"), ]
    out$mi <- list(lhs = m$lhs, op = m$op, rhs = m$rhs, group = if (is.null(m$group)) rep(1, nrow(m)) else m$group,
                   mi = m$mi, epc = m$epc, sepc = m$sepc.all)
  }
  list(fit = fit, out = out)
}
cases <- list(
  hs_ml = run(three, hs, modindices = TRUE), hs_mlr = run(three, hs, "MLR", modindices = TRUE),
  hs_one_ml = run(one, hs), hs_one_mlr = run(one, hs, "MLR"),
  hs_groups_ml = run(three, hs, group = "school", modindices = TRUE), hs_groups_mlr = run(three, hs, "MLR", group = "school"),
  hs_second_ml = run(second, hs), hs_second_mlr = run(second, hs, "MLR"),
  holes_fiml = run(three, holes, "MLR", missing = "fiml", modindices = TRUE),
  holes_groups_fiml = run(three, holes, "MLR", missing = "fiml", group = "school"),
  pd_ml = run(democracy, pd), pd_errors_ml = run(errors, pd, modindices = TRUE), pd_errors_mlr = run(errors, pd, "MLR"),
  bfi_ml = run(big5, bfi, modindices = TRUE), bfi_mlr = run(big5, bfi, "MLR"),
  bfi_fiml = run(big5, bfi, "MLR", missing = "fiml"), bfi_method_ml = run(method, bfi),
  bfi_method_mlr = run(method, bfi, "MLR"))
difference <- function(a, b) {
  t <- lavTestLRT(cases[[a]]$fit, cases[[b]]$fit)
  list(statistic = t[["Chisq diff"]][2], df = t[["Df diff"]][2], p = t[["Pr(>Chisq)"]][2])
}
values <- list(
  versions = list(R = as.character(getRversion()), lavaan = as.character(packageVersion("lavaan"))),
  turned = turned, cases = lapply(cases, `[[`, "out"),
  differences = list(hs_ml = difference("hs_one_ml", "hs_ml"), hs_mlr = difference("hs_one_mlr", "hs_mlr"),
                     bfi_mlr = difference("bfi_mlr", "bfi_method_mlr"), pd_ml = difference("pd_ml", "pd_errors_ml")))
write(toJSON(values, digits = 14, auto_unbox = TRUE), file.path(here, "confirmatory.json"))
