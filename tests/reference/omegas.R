# Reference values for scales/omegas.py and Duhachek's interval of alpha.
# Rscript tests/reference/omegas.R   (needs psych, lavaan, semTools, GPArotation, jsonlite; run from the repository root)
# Reads bfi.csv (see reliability.R) and, beside the repository, ../shared/data/{wiki4he,trello_utaut2}; writes omegas.json.
suppressPackageStartupMessages({library(psych); library(lavaan); library(semTools); library(jsonlite)})
here <- "tests/reference"
items <- read.csv(file.path(here, "bfi.csv"))
reverse <- c("A1", "C4", "C5", "E1", "E2", "O2", "O5")
items[reverse] <- 7 - items[reverse]
scales <- list(
  agreeableness = paste0("A", 1:5), conscientiousness = paste0("C", 1:5), extraversion = paste0("E", 1:5),
  neuroticism = paste0("N", 1:5), openness = paste0("O", 1:5))
three <- c(scales$agreeableness, scales$conscientiousness, scales$extraversion)
two <- c(scales$agreeableness, scales$extraversion)
complete <- function(names) items[complete.cases(items[names]), names]

duhachek <- function(names) suppressWarnings(psych::alpha(items[names]))$total$ase
ordinal <- function(names) {
  rho <- psych::polychoric(items[names], correct = 0)$rho
  fit <- suppressWarnings(psych::alpha(rho))
  list(alpha = fit$total$raw_alpha, without = fit$alpha.drop$raw_alpha)
}
categorical <- function(names) {
  data <- complete(names)
  fit <- cfa(paste("f =~", paste(names, collapse = " + ")), data = data, ordered = TRUE, estimator = "WLSMV",
             std.lv = TRUE, control = list(rel.tol = 1e-11))
  list(omega = compRelSEM(fit, ord.scale = TRUE)[[1]],
       omega3 = suppressMessages(semTools::reliability(fit))["omega3", 1],
       loadings = as.numeric(lavInspect(fit, "std")$lambda), n = lavInspect(fit, "nobs"))
}
# psych::omega leaves oblimin at a gradient of 1e-5 and minres at optim's tolerance; the second entry turns the same
# factors to 1e-8 and does Schmid & Leiman by hand.
hierarchical <- function(names, m) {
  r <- cor(complete(names))
  loose <- suppressMessages(suppressWarnings(psych::omega(r, nfactors = m, plot = FALSE, flip = FALSE, n.obs = 300)))
  start <- psych::fa(r, m, rotate = "varimax", n.obs = 300)
  turned <- GPArotation::oblimin(loadings(start), eps = 1e-8, maxit = 20000)
  g <- if (m > 2) as.numeric(loadings(psych::fa(turned$Phi, 1))) else sqrt(abs(turned$Phi[1, 2])) * c(1, sign(turned$Phi[1, 2]))
  general <- as.numeric(turned$loadings %*% g)
  list(psych_h = loose$omega_h, psych_total = loose$omega.tot, psych_share = loose$ECV[[1]],
       tight_h = sum(general)^2 / sum(r), general = abs(general))
}
second <- function() {
  parts <- scales[c("agreeableness", "conscientiousness", "extraversion")]
  model <- c(sapply(names(parts), function(f) paste(f, "=~", paste(parts[[f]], collapse = " + "))),
             paste("g =~", paste(names(parts), collapse = " + ")))
  fit <- cfa(paste(model, collapse = "\n"), data = complete(three), std.lv = TRUE, control = list(rel.tol = 1e-11))
  list(omega = compRelSEM(fit, higher = "g", obs.var = FALSE)[["g"]], parts = parts)
}
outside <- function() {
  wiki <- read.csv("../shared/data/wiki4he/wiki4HE.csv", na.strings = "?")
  trello <- read.csv("../shared/data/trello_utaut2/utaut2_216.csv")
  sets <- list(wiki_use = wiki[paste0("Use", 1:5)], wiki_sharing = wiki[paste0("SA", 1:3)],
               trello_habit = trello[paste0("HAB", 1:4)], trello_performance = trello[paste0("PE", 1:4)])
  lapply(sets, function(x) {
    items <<- x
    names <- colnames(x)
    c(list(items = names), categorical(names)[c("omega", "loadings", "n")], list(alpha = ordinal(names)$alpha,
      error = duhachek(names)))
  })
}
values <- list(
  versions = list(R = as.character(getRversion()), psych = as.character(packageVersion("psych")),
                  lavaan = as.character(packageVersion("lavaan")), semTools = as.character(packageVersion("semTools")),
                  GPArotation = as.character(packageVersion("GPArotation"))),
  scales = scales, three = three, two = two, reverse = reverse,
  duhachek = lapply(scales, duhachek), ordinal = lapply(scales, ordinal), categorical = lapply(scales, categorical),
  hierarchical = list(three = hierarchical(three, 3), two = hierarchical(two, 2)), second_order = second(),
  outside = outside())
write(toJSON(values, digits = 16, auto_unbox = TRUE, pretty = TRUE), file.path(here, "omegas.json"))
