# Records the default priors of brms for simulated data: Rscript make.R writes data.csv and priors.json beside it.
suppressMessages({library(brms); library(jsonlite)})
set.seed(20261123)
n <- 60
group <- rep(1:12, each = 5)
x <- round(rnorm(n, 2, 1), 3)
w <- round(runif(n, -3, 3), 3)
u <- rnorm(12)[group]
trials <- sample(1:9, n, TRUE)
data <- data.frame(
  x = x, w = w, g = sprintf("g%02d", group), h = sample(c("a", "b", "c"), n, TRUE),
  exposure = round(runif(n, 0.5, 4), 3), trials = trials,
  large = round(300 + 20 * x + 40 * u + rnorm(n, 0, 30), 2),
  small = round(0.1 + 0.02 * x + 0.01 * u + rnorm(n, 0, 0.02), 4),
  positive = round(exp(2 + 1.5 * u + rnorm(n, 0, 2)), 3),
  heavy = round(1000 + 100 * x + 50 * rt(n, 3), 2),
  yes = rbinom(n, 1, plogis(0.3 * x + u - 0.5)),
  successes = rbinom(n, trials, plogis(0.3 * x + u - 0.5)),
  count = rpois(n, exp(0.4 * x + u)),
  many = rnbinom(n, mu = exp(4 + 0.3 * x + 3 * u), size = 0.7)
)
write.csv(data, "data.csv", row.names = FALSE, quote = FALSE)

models <- list(
  list("large ~ x + (1 + x | g)", "gaussian", "identity"),
  list("large ~ x + (1 + x || g) + (1 | h)", "gaussian", "identity"),
  list("large ~ 1", "gaussian", "identity"),
  list("large ~ 0 + x + w", "gaussian", "identity"),
  list("small ~ x + w + (1 | g)", "gaussian", "identity"),
  list("large ~ x + offset(exposure) + (1 | g)", "gaussian", "identity"),
  list("large | se(exposure) ~ x + (1 | g)", "gaussian", "identity"),
  list("positive ~ x + (1 | g)", "gaussian", "log"),
  list("heavy ~ x + (1 | g)", "student", "identity"),
  list("heavy ~ x + (1 + x | g) + (1 | h)", "student", "identity"),
  list("yes ~ x + w + (1 | g)", "bernoulli", "logit"),
  list("yes ~ x + (1 + x | g)", "bernoulli", "probit"),
  list("yes ~ x + offset(exposure)", "bernoulli", "cloglog"),
  list("successes | trials(trials) ~ x + (1 | g)", "binomial", "logit"),
  list("successes | trials(trials) ~ x + (1 | g)", "binomial", "probit"),
  list("successes | trials(trials) ~ x + (1 | g/h)", "binomial", "cloglog"),
  list("count ~ x + (1 | g)", "poisson", "log"),
  list("count ~ x + offset(log(exposure)) + (1 + x | g)", "poisson", "log"),
  list("many ~ x + (1 | g)", "poisson", "log"),
  list("many ~ x + (1 | g)", "negbinomial", "log"),
  list("many ~ x + offset(log(exposure)) + (1 | g)", "negbinomial", "log"),
  list("count | weights(exposure) ~ x + (1 | g)", "negbinomial", "log")
)

record <- function(model) {
  priors <- as.data.frame(get_prior(
    as.formula(model[[1]]), data = data, family = brmsfamily(model[[2]], model[[3]])
  ))
  # Rows without a prior of their own take that of their class or group, or are flat.
  stated <- priors[priors$prior != "" & priors$prior != "(flat)", c("class", "coef", "group", "prior", "lb")]
  list(formula = model[[1]], family = model[[2]], link = model[[3]],
       classes = sort(unique(priors$class)), priors = stated)
}
versions <- list(R = as.character(getRversion()), brms = as.character(packageVersion("brms")))
write_json(list(versions = versions, models = lapply(models, record)), "priors.json",
           auto_unbox = TRUE, pretty = TRUE, digits = NA)
