# Reference values for tests/models/mechanisms/test_moderations.py and tests/inference/regression/test_johnson_neyman.py.
# Data: mediation_protest.csv, psych::Garcia (Hayes's protest example), and clusters.csv (clusters.R).
# Run in this folder: Rscript moderation.R   (writes moderation.json)
suppressPackageStartupMessages({library(sandwich); library(clubSandwich); library(car); library(jsonlite)})
protest <- read.csv("mediation_protest.csv")

slopes <- function(fit, V, places, df) {
  b <- coef(fit); k <- length(b)
  rows <- t(sapply(places, function(m) replace(replace(numeric(k), 2, 1), k, m)))
  list(estimate = as.vector(rows %*% b), std_error = sqrt(diag(rows %*% V %*% t(rows))), df = rep(df, length(places)))
}
# roots of (b1 + b3 m)^2 = t^2 (v11 + 2 m v13 + m^2 v33)
johnson_neyman <- function(fit, V, t) {
  b <- coef(fit); k <- length(b)
  roots <- polyroot(c(b[2]^2 - t^2 * V[2, 2], 2 * (b[2] * b[k] - t^2 * V[2, k]), b[k]^2 - t^2 * V[k, k]))
  sort(Re(roots[abs(Im(roots)) < 1e-9]))
}
# Esarey & Sumner (2018): Benjamini-Hochberg over many values of the moderator
false_discovery_t <- function(fit, V, values, level, df) {
  s <- slopes(fit, V, values, df)
  p <- sort(2 * pt(-abs(s$estimate / s$std_error), df))
  allowed <- level * seq_along(p) / length(p)
  last <- max(which(p <= allowed), 1)
  qt(1 - allowed[last] / 2, df)
}

fit <- lm(liking ~ prot2 * sexism, protest)
at <- mean(protest$sexism) + c(-1, 0, 1) * sd(protest$sexism)
of_several <- function(ordered, found, start) if (sum(ordered == found) >= 5) found else mean(ordered[start + 0:4])
rising <- sort(protest$sexism)
far <- sapply(c(.1, .9), function(p) of_several(rising, quantile(rising, p), round(p * (length(rising) - 1)) - 1))
ends <- c(of_several(rising, rising[5], 5), of_several(rev(rising), rev(rising)[5], 5))
grid <- seq(ends[1], ends[2], length.out = 1001)
kinds <- list(classical = vcov(fit), HC3 = vcovHC(fit, "HC3"))
found <- lapply(kinds, function(V) list(
  slopes = slopes(fit, V, at, df.residual(fit)),
  regions = johnson_neyman(fit, V, qt(.975, df.residual(fit))),
  false_discovery = johnson_neyman(fit, V, false_discovery_t(fit, V, grid, .05, df.residual(fit))),
  difference = as.vector(diff(far)) * c(coef(fit)[4], sqrt(V[4, 4]))))

levels <- lm(liking ~ sexism * factor(protest), protest)
V <- vcovHC(levels, "HC3")
rows <- rbind(c(0, 1, 0, 0, 0, 0), c(0, 1, 0, 0, 1, 0), c(0, 1, 0, 0, 0, 1))
joint <- linearHypothesis(levels, names(coef(levels))[5:6], vcov. = V)

teams <- subset(read.csv("clusters.csv"), team <= "team 20")
clustered <- lm(use ~ support * climate + role, teams)
CR2 <- vcovCR(clustered, teams$team, "CR2")
places <- c(2, 3, 4)
contrasts <- t(sapply(places, function(m) c(0, 1, 0, 0, 0, m)))
tested <- linear_contrast(clustered, CR2, contrasts, test = "Satterthwaite")

write_json(list(
  protest = found, at = at, ends = ends,
  levels = list(estimate = as.vector(rows %*% coef(levels)), std_error = sqrt(diag(rows %*% V %*% t(rows))),
                statistic = joint$F[2], p_value = joint$`Pr(>F)`[2]),
  clusters = list(places = places, estimate = tested$Est, std_error = tested$SE, df = tested$df)
), "moderation.json", digits = 17, auto_unbox = TRUE, pretty = TRUE)
