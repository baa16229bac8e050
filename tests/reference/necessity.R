# Ceilings of necessary condition analysis in plain R, point by point, by the definitions of Dul (2016).
# usage: Rscript tests/reference/necessity.R   (writes necessity.csv and necessity.json beside itself)
# CE-FDH: a point is a corner if nobody with as little or less of x has as much or more of y.
# CR-FDH: stats::lm through the corners, each respondent on a corner counted. Areas are integrated numerically.
suppressMessages(library(jsonlite))

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
set.seed(42)
n <- 150
likert <- function(t) rowMeans(sapply(1:4, function(i) pmin(5, pmax(1, round(3.2 + 0.8 * t + rnorm(n, sd = 0.8))))))
a <- rnorm(n)
people <- data.frame(scale_a = likert(a), scale_b = likert(rnorm(n)), item = pmin(5, pmax(1, round(3 + a))),
                     number = round(runif(n), 4))
people$outcome <- likert(pmin(0.5 * a + rnorm(n), a + 0.5))
write.csv(people, file.path(here, "necessity.csv"), row.names = FALSE)

on_corner <- function(x, y) sapply(seq_along(x), function(i) !any((x <= x[i] & y > y[i]) | (x < x[i] & y >= y[i])))
height <- function(x, y, at, lowest) sapply(at, function(value) if (any(x <= value)) max(y[x <= value]) else lowest)

effects <- function(x, y, scope = c(range(x), range(y))) {
  area <- (scope[2] - scope[1]) * (scope[4] - scope[3])
  edges <- sort(unique(c(scope[1], x, scope[2])))
  step <- sum(diff(edges) * (scope[4] - height(x, y, head(edges, -1), scope[3])))
  peers <- on_corner(x, y)
  line <- c(0, NA, NA)
  if (nrow(unique(cbind(x, y)[peers, , drop = FALSE])) > 1) {
    fit <- coef(lm(y[peers] ~ x[peers]))
    bends <- (scope[3:4] - fit[1]) / fit[2]
    cuts <- sort(unique(c(scope[1:2], bends[bends > scope[1] & bends < scope[2]])))
    room <- function(at) scope[4] - pmin(scope[4], pmax(scope[3], fit[1] + fit[2] * at))
    line <- c(sum(diff(cuts) * (head(room(cuts), -1) + tail(room(cuts), -1)) / 2), fit[[1]], fit[[2]])
  }
  above <- if (is.na(line[3])) 0 else sum(y > line[2] + line[3] * x + 1e-9)
  list(step = step / area, line = line[1] / area, intercept = line[2], slope = line[3], above = above,
       corners_x = sort(unique(x[peers])), corners_y = sort(unique(y[peers])), respondents = sum(peers))
}

conditions <- setdiff(names(people), "outcome")
observed <- lapply(people[conditions], effects, people$outcome)
possible <- lapply(people[conditions[1:3]], effects, people$outcome, c(1, 5, 1, 5))
low <- effects(-people$scale_b, people$outcome)
write_json(list(R = R.version.string, observed = observed, possible = possible, low = low),
           file.path(here, "necessity.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
