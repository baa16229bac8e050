# Reference values for inference/psychometrics/extraction.py, inference/psychometrics/rotation.py, inference/psychometrics/dimensions.py and scales/factors.py.
# Rscript tests/reference/factors.R   (needs psych, GPArotation, nFactors, jsonlite; run from the repository root)
# Writes factors.json. Cases on cfa, trello_utaut2 and wiki4he need the folder ../shared/data.
# psych::fa and stats::promax stop early (L-BFGS-B at a relative 1e-8, varimax at 1e-5) and cannot be told otherwise, so
# their own functions are driven on to the end here: `minres` starts where psych::fa stopped.
suppressPackageStartupMessages({library(psych); library(GPArotation); library(nFactors); library(jsonlite)})
here <- "tests/reference"
shared <- "../shared/data"
wiki <- read.csv(file.path(shared, "wiki4he/wiki4HE.csv"), na.strings = "?")
wiki_items <- c(paste0("PU", 1:3), paste0("PEU", 1:3), paste0("Qu", 1:5), paste0("SA", 1:3), paste0("Use", 1:5), "BI1", "BI2")
trello_items <- c(paste0("HAB", 1:4), paste0("INT", 1:3), paste0("HM", 1:3), paste0("EE", 1:4), paste0("PE", 1:4), paste0("PV", 1:3))
cases <- list(
  bfi = list(data = read.csv(file.path(here, "bfi_complete.csv")), m = 5),
  holzinger = list(data = read.csv(file.path(shared, "cfa/HolzingerSwineford1939.csv"))[paste0("x", 1:9)], m = 3),
  trello = list(data = read.csv(file.path(shared, "trello_utaut2/utaut2_216.csv"))[trello_items], m = 6),
  wiki4he = list(data = wiki[wiki_items], m = 4))

residual_half <- function(psi, R, m) sum(eigen(R - diag(psi), symmetric = TRUE, only.values = TRUE)$values[-(1:m)]^2) / 2
residual_slope <- function(psi, R, m) {
  e <- eigen(R - diag(psi), symmetric = TRUE)
  -drop(e$vectors[, -(1:m)]^2 %*% e$values[-(1:m)])
}
positive <- function(L) L %*% diag(ifelse(colSums(L) < 0, -1, 1), ncol(L))
minres_of <- function(R, m, n) {
  first <- suppressWarnings(fa(R, m, n.obs = n, rotate = "none"))
  end <- optim(first$uniquenesses, residual_half, residual_slope, method = "L-BFGS-B", lower = 0.005, upper = 1, R = R, m = m,
               control = list(factr = 0, pgtol = 1e-13, maxit = 1e5))
  e <- eigen(R - diag(end$par), symmetric = TRUE)
  L <- positive(e$vectors[, 1:m, drop = FALSE] %*% diag(sqrt(e$values[1:m]), m))
  rough <- suppressWarnings(fa(R, m, n.obs = n, rotate = "oblimin"))
  list(loadings = L, uniquenesses = end$par, objective = end$value, slope = max(abs(residual_slope(end$par, R, m))),
       psych = list(loadings = unclass(first$loadings), uniquenesses = as.numeric(first$uniquenesses),
                    objective = residual_half(as.numeric(first$uniquenesses), R, m), oblimin = unclass(rough$loadings),
                    phi = rough$Phi))
}
ml_of <- function(R, m, n) {
  f <- factanal(covmat = R, n.obs = n, factors = m, rotation = "none",
                control = list(opt = list(factr = 0, pgtol = 1e-13, maxit = 1e5)))
  list(loadings = positive(unclass(f$loadings)), uniquenesses = as.numeric(f$uniquenesses), objective = f$criteria[[1]],
       statistic = f$STATISTIC[[1]], p = f$PVAL[[1]], dof = f$dof)
}
pa_of <- function(R, m, n) {
  f <- suppressWarnings(fa(R, m, n.obs = n, rotate = "none", fm = "pa", min.err = 1e-12, max.iter = 2e4, warnings = FALSE))
  list(loadings = unclass(f$loadings), uniquenesses = as.numeric(f$uniquenesses))
}
turn_of <- function(L) {
  straight <- varimax(L, eps = 1e-15)
  bare <- varimax(L, normalize = FALSE, eps = 1e-15)
  leaning <- promax(straight$loadings)
  back <- solve(leaning$rotmat)
  obl <- oblimin(L, eps = 1e-7, maxit = 2000)
  kaiser <- oblimin(L, normalize = TRUE, eps = 1e-7, maxit = 2000)
  list(varimax = unclass(straight$loadings), varimax_bare = unclass(bare$loadings), promax = unclass(leaning$loadings),
       promax_phi = back %*% t(back), oblimin = obl$loadings, oblimin_phi = obl$Phi, kaiser = kaiser$loadings,
       kaiser_phi = kaiser$Phi)
}
fit_of <- function(R, L, phi, n) {
  f <- factor.stats(R, L, phi, n.obs = n, alpha = 0.1)
  list(dof = f$dof, objective = f$objective, statistic = f$STATISTIC, p = f$PVAL, rms = f$rms, crms = f$crms, tli = f$TLI,
       rmsea = as.numeric(f$RMSEA[1:3]), bic = f$BIC, complexity = as.numeric(f$complexity),
       explained = diag(phi %*% t(L) %*% L))
}
scree_of <- function(R) {
  n <- nScree(x = eigen(R)$values)$Components
  list(oc = n$noc, af = n$naf, kaiser = n$nkaiser)
}
null_of <- function(R, n, rep) {
  set.seed(4)
  p <- ncol(R)
  pc <- nFactors::parallel(subject = n, var = p, rep = rep, quantile = 0.95)$eigen
  fc <- nFactors::parallel(subject = n, var = p, rep = rep, quantile = 0.95, model = "factors")$eigen
  invisible(capture.output(ps <- fa.parallel(R, n.obs = n, n.iter = rep, SMC = TRUE, plot = FALSE)))
  list(rep = rep, pc_mean = pc$mevpea, pc_quantile = pc$qevpea, pc_sd = pc$sevpea, fa_mean = fc$mevpea,
       fa_quantile = fc$qevpea, fa_sd = fc$sevpea, psych_pc = ps$pc.sim, psych_fa = ps$fa.sim, pc_values = ps$pc.values,
       fa_values = ps$fa.values, nfact = ps$nfact, ncomp = ps$ncomp)
}
# Average partial correlations by the book: fourth powers, which no R package has, and none taken out.
map_of <- function(R, power) sapply(0:(ncol(R) - 2), function(m) {
  left <- R
  if (m > 0) { e <- eigen(R); C <- e$vectors[, 1:m, drop = FALSE] %*% diag(sqrt(e$values[1:m]), m); left <- R - C %*% t(C) }
  partial <- cov2cor(left)
  mean(partial[lower.tri(partial)]^power)
})
value_of <- function(case) {
  x <- case$data[complete.cases(case$data), ]
  R <- unname(cor(x)); n <- nrow(x); m <- case$m
  minres <- minres_of(R, m, n)
  turned <- turn_of(minres$loadings)
  kmo <- KMO(R); sphere <- cortest.bartlett(R, n)
  invisible(capture.output(structure <- suppressWarnings(vss(R, n = 8, n.obs = n, plot = FALSE))))
  list(items = names(case$data), n = n, m = m, minres = minres, ml = ml_of(R, m, n), pa = pa_of(R, m, n), rotation = turned,
       fit = fit_of(R, turned$oblimin, turned$oblimin_phi, n), kmo = kmo$MSA, msa = as.numeric(kmo$MSAi),
       sphericity = list(statistic = sphere$chisq, df = sphere$df, p = sphere$p.value), map = structure$map,
       map_squared = map_of(R, 2), map_fourth = map_of(R, 4), scree = scree_of(R), null = null_of(R, n, 400))
}
values <- list(
  versions = list(R = as.character(getRversion()), psych = as.character(packageVersion("psych")),
                  GPArotation = as.character(packageVersion("GPArotation")), nFactors = as.character(packageVersion("nFactors"))),
  cases = lapply(cases, value_of))
write(toJSON(values, digits = 16, auto_unbox = TRUE, pretty = FALSE), file.path(here, "factors.json"))
