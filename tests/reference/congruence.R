# Response surface by hand and with car::deltaMethod. Rscript congruence.R, in this folder; writes congruence.csv, .json.
suppressMessages({library(car); library(sandwich); library(clubSandwich); library(jsonlite)})
set.seed(20)
n <- 400; team <- sample(30, n, TRUE); base <- rnorm(n)
say <- pmin(5, pmax(1, round(3.4 + .6 * base + rnorm(n)))); do <- pmin(5, pmax(1, round(3 + .6 * base + rnorm(n))))
x <- say - 3; y <- do - 3; tenure <- round(rexp(n, .2), 1)
trust <- round(3 + .3 * x + .25 * y - .2 * (x - y)^2 + .05 * x^2 + .02 * tenure + .4 * rnorm(30)[team] + .6 * rnorm(n), 2)
d <- data.frame(say, do, tenure, team, trust)
write.csv(d, "congruence.csv", row.names = FALSE)
fit <- lm(trust ~ x + y + I(x^2) + I(x * y) + I(y^2))
names(fit$coefficients) <- c("b0", "b1", "b2", "b3", "b4", "b5")
terms <- c(a1 = "b1+b2", a2 = "b3+b4+b5", a3 = "b1-b2", a4 = "b3-b4+b5", a5 = "b3-b5")
x0 <- "((b2*b4-2*b1*b5)/(4*b3*b5-b4^2))"; y0 <- "((b1*b4-2*b2*b3)/(4*b3*b5-b4^2))"
p11 <- "((b5-b3+sqrt((b3-b5)^2+b4^2))/b4)"; p21 <- "((b5-b3-sqrt((b3-b5)^2+b4^2))/b4)"
terms <- c(terms, x0 = x0, y0 = y0, p10 = paste0(y0, "-", p11, "*", x0), p11 = p11, p20 = paste0(y0, "-", p21, "*", x0), p21 = p21)
by <- function(v) { dimnames(v) <- list(names(coef(fit)), names(coef(fit)))
  t(sapply(terms, function(g) unlist(deltaMethod(coef(fit), g, vcov. = v)[1:2]))) }
out <- list(HC3 = by(vcovHC(fit, "HC3")), classical = by(vcov(fit)), CR1 = by(vcovCL(fit, team, type = "HC1")),
            CR2 = by(as.matrix(vcovCR(lm(trust ~ x + y + I(x^2) + I(x * y) + I(y^2)), team, "CR2"))), r2 = summary(fit)$r.squared)
a <- rbind(c(0, 1, 1, 0, 0, 0), c(0, 0, 0, 1, 1, 1), c(0, 1, -1, 0, 0, 0), c(0, 0, 0, 1, -1, 1), c(0, 0, 0, 1, 0, -1))
tests <- linear_contrast(lm(trust ~ x + y + I(x^2) + I(x * y) + I(y^2)), vcov = "CR2", cluster = team, contrasts = a, p_values = TRUE)
out$CR2_tests <- list(df = tests$df, p = tests$p_val)
t <- coef(fit)[-1]; a4 <- linearHypothesis(fit, "b3 - b4 + b5 = 0", vcov. = vcovHC(fit, "HC3"))
out$a4_f <- a4$F[2]
p <- sapply(1:5, function(i) { e <- out$HC3[i, ]; 2 * pt(-abs(e[1] / e[2]), n - 6) })
out$p <- unname(p); out$holm <- p.adjust(unname(p), "holm")
write_json(out, "congruence.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
