// Adds a `team` label by the beginning of a service's name, and drops the series of some namespaces.
#include <stdlib.h>
#include <string.h>

#include "build/bindings/labels_filter.h"

#define RULES "write \"team PREFIX TEAM\" or \"drop NAMESPACE\""

typedef labels_filter_string_t string;

// One line of the configuration: `drop NAMESPACE`, or `team PREFIX TEAM`; of these the first that fits decides.
typedef struct Rule {
  struct Rule *next;
  string word[3];  // parts of the configuration, which stays in memory
} Rule;

static Rule *rules;

// Without memory the filter traps: the host then makes another instance.
static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (memory == NULL) __builtin_trap();
  return memory;
}

static bool is(string s, const char *text) {
  return s.len == strlen(text) && memcmp(s.ptr, text, s.len) == 0;
}

static bool starts_with(string s, string prefix) {
  return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

static bool blank(uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\r';
}

// The first word of `line`, without what is blank; `line` becomes what follows it.
static string next_word(string *line) {
  while (line->len > 0 && blank(line->ptr[0])) line->ptr++, line->len--;
  string word = {line->ptr, 0};
  while (line->len > 0 && !blank(line->ptr[0])) line->ptr++, line->len--, word.len++;
  return word;
}

// Fills `rule` from a line of words; false if it is none.
static bool parse(string line, Rule *rule) {
  for (size_t i = 0; i < 3; i++) rule->word[i] = next_word(&line);
  bool whole = next_word(&line).len == 0;
  bool team = is(rule->word[0], "team") && rule->word[2].len > 0;
  bool drop = is(rule->word[0], "drop") && rule->word[1].len > 0 && rule->word[2].len == 0;
  return whole && (team || drop);
}

static void append(string *text, const void *bytes, size_t len) {
  memcpy(text->ptr + text->len, bytes, len);
  text->len += len;
}

// By hand, for printf would import files, which the host does not offer.
static void refuse(string *error, unsigned number, string line) {
  while (line.len > 0 && blank(line.ptr[0])) line.ptr++, line.len--;
  while (line.len > 0 && blank(line.ptr[line.len - 1])) line.len--;
  const char not[] = ": " RULES ", not \"";
  char digits[10];
  size_t first = sizeof digits;
  do digits[--first] = '0' + number % 10;
  while (number /= 10);
  error->ptr = allocate(5 + sizeof digits + sizeof not + line.len + 1);
  error->len = 0;
  append(error, "line ", 5);
  append(error, digits + first, sizeof digits - first);
  append(error, not, sizeof not - 1);
  append(error, line.ptr, line.len);
  append(error, "\"", 1);
}

void exports_flamegate_filter_lifecycle_describe(exports_flamegate_filter_lifecycle_info_t *info) {
  labels_filter_string_dup(&info->name, "team-label");
  labels_filter_string_dup(&info->version, "0.1.0");
  info->deterministic = true;
}

// The configuration is ours from here on: rules point into it. On `false` the error is shown to the user.
bool exports_flamegate_filter_lifecycle_configure(string *config, string *error) {
  Rule **last = &rules;
  string rest = *config;
  for (unsigned number = 1; rest.len > 0; number++) {
    uint8_t *end = memchr(rest.ptr, '\n', rest.len);
    string line = {rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
    size_t taken = line.len + (end ? 1 : 0);
    rest.ptr += taken, rest.len -= taken;
    string words = line, first = next_word(&words);
    if (first.len == 0 || first.ptr[0] == '#') continue;
    Rule *rule = allocate(sizeof *rule);
    rule->next = NULL;
    if (!parse(line, rule)) {
      refuse(error, number, line);
      return false;
    }
    *last = rule;
    last = &rule->next;
  }
  if (rules == NULL) labels_filter_string_dup(error, "no rules: " RULES);
  return rules != NULL;
}

// What the verdict holds is freed by the generated code once the host has read it.
static void decide(flamegate_filter_types_labels_t *labels, flamegate_filter_types_verdict_t *verdict) {
  string namespace = {0}, service = {0};
  bool has_team = false;
  for (size_t i = 0; i < labels->len; i++) {
    string name = labels->ptr[i].name, value = labels->ptr[i].value;
    if (is(name, "namespace")) namespace = value;
    if (is(name, "service_name")) service = value;
    if (is(name, "team")) has_team = true;
  }
  const Rule *team = NULL;
  for (const Rule *rule = rules; rule != NULL; rule = rule->next) {
    if (is(rule->word[0], "team")) {
      if (team == NULL && starts_with(service, rule->word[1])) team = rule;
    } else if (namespace.len == rule->word[1].len && starts_with(namespace, rule->word[1])) {
      verdict->tag = FLAMEGATE_FILTER_TYPES_VERDICT_DROP;
      labels_filter_string_dup(&verdict->val.drop, "namespace");
      return;
    }
  }
  if (has_team || team == NULL) {
    verdict->tag = FLAMEGATE_FILTER_TYPES_VERDICT_UNCHANGED;
    return;
  }
  verdict->tag = FLAMEGATE_FILTER_TYPES_VERDICT_PATCH;
  flamegate_filter_types_patch_t *patch = &verdict->val.patch;
  patch->set.len = 1;
  patch->set.ptr = allocate(sizeof *patch->set.ptr);
  labels_filter_string_dup(&patch->set.ptr->name, "team");
  labels_filter_string_dup_n(&patch->set.ptr->value, (const char *)team->word[2].ptr, team->word[2].len);
  patch->remove.ptr = NULL;
  patch->remove.len = 0;
}

void exports_flamegate_filter_filter_labels_apply(flamegate_filter_types_labels_t *labels,
                                                  flamegate_filter_types_verdict_t *verdict) {
  decide(labels, verdict);
  flamegate_filter_types_labels_free(labels);
}
