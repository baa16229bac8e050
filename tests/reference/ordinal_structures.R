# Reference values for inference/factor_models/ordinal_structures.py.
# Rscript tests/reference/ordinal_structures.R   (needs lavaan, semTools, jsonlite; run from the repository root)
# Writes ordinal_structures.json, and ordinal_groups.csv: items with 2 to 5 categories in two groups, planted.
# Reads bfi_complete.csv (polychoric.R makes it). Cases on trello_utaut2 and wiki4he are made only where ../shared/data is.
suppressPackageStartupMessages({library(lavaan); library(jsonlite)})
here <- "tests/reference"
shared <- "../shared/data"
# lavaan's usual search leaves errors in the sixth digit, or stops with a complaint when told to go on. Its Gauss-Newton
# search goes to the end; whether it got there is seen from the slope (settled).
tight <- list(optim.method = "gn", optim.gn.tol.x = 1e-11, optim.force.converged = TRUE)
with_tight <- function(...) suppressWarnings(do.call("cfa", c(list(...), tight)))
# With equal parameters in groups that search is not exact, and the usual one is.
constrained <- list(control = list(rel.tol = 1e-13), optim.force.converged = TRUE)
settled <- function(fit) {
  slope <- lavTech(fit, "gradient")
  if (fit@Model@eq.constraints) slope <- slope %*% fit@Model@eq.constraints.K
  stopifnot(max(abs(slope)) < 1e-6)
}

measures <- c("chisq", "df", "chisq.scaled", "df.scaled", "pvalue.scaled", "chisq.scaling.factor",
              "baseline.chisq", "baseline.df", "baseline.chisq.scaled", "baseline.chisq.scaling.factor",
              "cfi.scaled", "tli.scaled", "rmsea.scaled", "rmsea.ci.lower.scaled", "rmsea.ci.upper.scaled",
              "cfi", "tli", "rmsea", "srmr")
values_of <- function(fit) {
  settled(fit)
  free <- parTable(fit)[parTable(fit)$free > 0, ]
  list(n = sum(lavInspect(fit, "nobs")), fit = as.list(unclass(fitMeasures(fit, measures))),
       shift = fit@test[[2]]$shift.parameter,
       estimates = data.frame(lhs = free$lhs, op = free$op, rhs = free$rhs, group = if (is.null(free$group)) 1 else free$group,
                              est = free$est, se = free$se),
       standardized = {
         s <- standardizedSolution(fit)
         if (is.null(s$group)) s$group <- 1
         s[s$op %in% c("=~", "~~"), c("lhs", "op", "rhs", "group", "est.std", "se")]
       })
}
wlsmv <- function(model, data, indices = FALSE, ...) {
  items <- unique(lavaanify(model)$rhs[lavaanify(model)$op == "=~"])
  fit <- with_tight(model, data = data, ordered = intersect(items, names(data)), std.lv = TRUE, ...)
  out <- values_of(fit)
  if (indices) {
    mi <- modindices(fit)
    out$indices <- mi[mi$op %in% c("=~", "~~"), c("lhs", "op", "rhs", "mi", "epc")]
  }
  out
}

bfi <- read.csv(file.path(here, "bfi_complete.csv"))
block <- function(names) paste(sapply(names, function(f) paste(f, "=~", paste0(f, 1:5, collapse = " + "))), collapse = "\n")
five <- block(c("A", "C", "E", "N", "O"))
two <- "E =~ E1 + E2 + E3 + E4 + E5\nN =~ N1 + N2 + N3 + N4 + N5"
four <- block(c("A", "C", "E", "N"))

set.seed(17)
n <- 700
group <- rep(1:2, c(400, 300))
factors <- matrix(rnorm(2 * n), n) %*% chol(matrix(c(1, 0.4, 0.4, 1), 2))
factors[group == 2, ] <- t(t(factors[group == 2, ]) * c(1.2, 0.9) + c(0.3, -0.2))
loading <- c(0.8, 0.7, 0.6, 0.75, 0.8, 0.65, 0.7, 0.6)
cuts <- list(c(-1, 0, 1), c(-0.8, 0.3, 1.2), c(-1.2, -0.2, 0.9), c(-0.9, 0.1, 0.8), c(-0.5, 0.4, 1), c(-1, -0.3, 0.7),
             c(-1.3, -0.4, 0.4, 1.1), c(-0.6, 0.6))
items <- sapply(1:8, function(i) findInterval(loading[i] * factors[, 1 + (i > 4)] + sqrt(1 - loading[i]^2) * rnorm(n), cuts[[i]]))
planted <- data.frame(items, group = group)
names(planted)[1:8] <- paste0("x", 1:8)
planted$y1 <- as.integer(planted$x1 > 1)
planted$y5 <- pmin(planted$x5, 2L)
write.csv(planted, file.path(here, "ordinal_groups.csv"), row.names = FALSE, quote = FALSE)
pair <- "f =~ x1 + x2 + x3 + x4\ng =~ x5 + x6 + x7 + x8"

steps <- list(configural = "", thresholds = "thresholds", loadings = c("thresholds", "loadings"),
              intercepts = c("thresholds", "loadings", "intercepts"),
              residuals = c("thresholds", "loadings", "intercepts", "residuals"))
ordered_items <- paste0("x", 1:7)    # three categories or more: thresholds alone identify scale and intercept
quad <- "f =~ x1 + x2 + x3 + x4\ng =~ x5 + x6 + x7"
fits <- lapply(steps, function(equal) {
  written <- semTools::measEq.syntax(quad, data = planted[c(ordered_items, "group")], ordered = ordered_items,
                                     parameterization = "theta", ID.fac = "std.lv", ID.cat = "Wu.Estabrook.2016",
                                     group = "group", group.equal = equal)
  suppressWarnings(do.call("cfa", c(list(as.character(written), data = planted, ordered = ordered_items, group = "group",
                                         parameterization = "theta", estimator = "WLSMV"), constrained)))
})
differences <- lapply(seq_along(fits)[-1], function(i) {
  test <- lavTestLRT(fits[[i - 1]], fits[[i]], method = "satorra.2000", A.method = "delta")
  list(statistic = test[2, "Chisq diff"], df = test[2, "Df diff"], p = test[2, "Pr(>Chisq)"],
       scale = attr(test, "scale")[2], shift = attr(test, "shift")[2])
})
names(differences) <- names(fits)[-1]
of_two <- function(...) with_tight(two, data = bfi, ordered = names(bfi), std.lv = TRUE, ...)
orthogonal <- lavTestLRT(of_two(), of_two(orthogonal = TRUE))

out <- list(
  five = wlsmv(five, bfi),
  indices = wlsmv(two, bfi, indices = TRUE),
  second = wlsmv(paste(four, "G =~ A + C + E + N", sep = "\n"), bfi),
  errors = wlsmv(paste(two, "N1 ~~ N2\nE1 ~~ E2", sep = "\n"), bfi),
  method = wlsmv(paste(block(c("C", "E", "O")), "M =~ C4 + C5 + E1 + E2 + O2 + O5\nM ~~ 0*C\nM ~~ 0*E\nM ~~ 0*O", sep = "\n"),
                 bfi),
  unequal = wlsmv("f =~ y1 + x2 + x3 + x4\ng =~ y5 + x6 + x7 + x8", planted),
  theta = wlsmv("f =~ y1 + x2 + x3 + x4\ng =~ y5 + x6 + x7 + x8", planted, parameterization = "theta"),
  groups = wlsmv(pair, planted, group = "group"),
  steps = lapply(fits, values_of),
  differences = differences,
  orthogonal = list(statistic = orthogonal[2, "Chisq diff"], df = orthogonal[2, "Df diff"]))
if (dir.exists(shared)) {
  trello <- read.csv(file.path(shared, "trello_utaut2/utaut2_216.csv"))
  wiki <- read.csv(file.path(shared, "wiki4he/wiki4HE.csv"), na.strings = "?")
  # Not EE, INT2 with INT3 and SI1 with SI2: their tables have an answer so improbable that lavaan's correlation is not
  # where the likelihood is highest (tests/inference/psychometrics/test_polychoric.py).
  acceptance <- "PE =~ PE1 + PE2 + PE3 + PE4\nHAB =~ HAB1 + HAB2 + HAB3 + HAB4\nHM =~ HM1 + HM2 + HM3"
  usefulness <- "PU =~ PU1 + PU2 + PU3\nPEU =~ PEU1 + PEU2 + PEU3\nQu =~ Qu1 + Qu2 + Qu3 + Qu4 + Qu5\nUse =~ Use1 + Use2 + Use3 + Use4 + Use5"
  out$trello <- wlsmv(acceptance, trello)
  out$wiki <- wlsmv(usefulness, wiki)
  out$wiki_pairwise <- wlsmv(usefulness, wiki, missing = "pairwise")
}
write_json(out, file.path(here, "ordinal_structures.json"), digits = NA, auto_unbox = TRUE)
