# What R makes of a list of models: one line per number, "case<TAB>what<TAB>name<TAB>column<TAB>value".
# Called with a table of cases: case, file, formula, covariance, factors ("a=x,y;b=u,v"), means.
suppressPackageStartupMessages({
  library(lmerTest); library(emmeans); library(pbkrtest); library(nlme)
})
options(warn = -1)
cases <- read.delim(commandArgs(TRUE)[1], colClasses = "character")
say <- function(case, what, name, column, value)
  cat(sprintf("%s\t%s\t%s\t%s\t%.17g\n", case, what, name, column, as.numeric(value)), sep = "")
table_of <- function(case, what, names, columns, values)
  for (j in seq_along(columns)) say(case, what, names, columns[j], values[[j]])

terms_of <- function(case, what, a)
  table_of(case, what, rownames(a), c("F", "num_df", "den_df", "p"),
           list(a[["F value"]], a[["NumDF"]], a[["DenDF"]], a[["Pr(>F)"]]))

means_of <- function(case, fit, spec) {
  parts <- strsplit(spec, "|", fixed = TRUE)[[1]]
  f <- strsplit(parts[1], ":", fixed = TRUE)[[1]]
  by <- if (length(parts) > 1) parts[2] else NULL
  grid <- emmeans(fit, f, by = by, lmer.df = "satterthwaite")
  s <- as.data.frame(grid)
  label <- do.call(paste, c(lapply(c(f, by), function(n) as.character(s[[n]])), sep = "/"))
  table_of(case, paste0("emm ", spec), label, c("emmean", "se", "df", "ci95_low", "ci95_high"),
           list(s$emmean, s$SE, s$df, s$lower.CL, s$upper.CL))
  q <- pairs(grid)
  s <- as.data.frame(confint(q, adjust = "none"))
  t <- as.data.frame(summary(q, adjust = "none"))
  label <- as.character(s$contrast)
  if (!is.null(by)) label <- paste(s[[by]], label, sep = "/")
  table_of(case, paste0("pairs ", spec), label,
           c("estimate", "se", "df", "t", "ci95_low", "ci95_high", "p"),
           list(s$estimate, s$SE, s$df, t$t.ratio, s$lower.CL, s$upper.CL, t$p.value))
  for (adjust in c("bonferroni", "holm", "sidak", "tukey")) {
    p <- as.data.frame(summary(q, adjust = adjust))$p.value
    say(case, paste0("pairs ", spec), label, paste0("p_", adjust), p)
  }
}

for (i in seq_len(nrow(cases))) {
  row <- cases[i, ]
  data <- read.csv(row$file, na.strings = c("NA", "n/a", ""), stringsAsFactors = FALSE)
  for (one in strsplit(row$factors, ";", fixed = TRUE)[[1]]) {
    halves <- strsplit(one, "=", fixed = TRUE)[[1]]
    data[[halves[1]]] <- factor(data[[halves[1]]], levels = strsplit(halves[2], ",")[[1]])
  }
  data$subject <- factor(data$subject)
  formula <- as.formula(row$formula)
  data <- data[complete.cases(data[all.vars(formula)]), ]
  if (row$covariance == "ri") {
    # Its derivatives by differences suffer from badly scaled data, but these are not.
    fit <- lmer(update(formula, . ~ . + (1 | subject)), data, REML = TRUE,
                control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12)))
    say(row$case, "fit", "loglik", "value", logLik(fit))
    v <- as.data.frame(VarCorr(fit))
    say(row$case, "covariance", c("between", "within"), "estimate", v$vcov)
    terms_of(row$case, "satterthwaite", anova(fit))
    terms_of(row$case, "kenward-roger", anova(fit, ddf = "Kenward-Roger"))
    b <- coef(summary(fit))
    table_of(row$case, "fixed", rownames(b), c("estimate", "se", "df", "t", "p"),
             lapply(1:5, function(k) b[, k]))
    for (spec in strsplit(row$means, ";", fixed = TRUE)[[1]]) means_of(row$case, fit, spec)
  } else {
    data$number <- as.integer(data$time)
    data <- data[order(data$subject, data$number), ]
    within <- switch(row$covariance,
      cs = , csh = corCompSymm(form = ~ number | subject),
      un = corSymm(form = ~ number | subject),
      ar1 = , arh1 = corAR1(form = ~ number | subject), diag = NULL)
    weights <- if (row$covariance %in% c("csh", "un", "arh1", "diag")) varIdent(form = ~ 1 | time)
    fit <- gls(formula, data, correlation = within, weights = weights, method = "REML",
               control = glsControl(msMaxIter = 1000, msTol = 1e-14, tolerance = 1e-12))
    say(row$case, "fit", "loglik", "value", logLik(fit))
    b <- summary(fit)$tTable
    table_of(row$case, "fixed", rownames(b), c("estimate", "se"), list(b[, 1], b[, 2]))
  }
}
