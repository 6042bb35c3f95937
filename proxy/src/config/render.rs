//! Diagnostics for people: `file:line:column`, the line itself, and what to do.

use alloy_syntax::{Diagnostic, Diagnostics, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Source;

/// Writes each diagnostic with the source line it is about.
pub fn render(diagnostics: &Diagnostics, sources: &[Source], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&report(diagnostic, sources)));
        text.push_str("\n\n");
    }
    text
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a [Source]) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    let source = sources.iter().find(|source| *source.name == *diagnostic.file);
    if let (Some(source), Some(span)) = (source, diagnostic.span) {
        let length = source.text.len();
        let (start, end) = (span.start.offset.min(length), span.end.offset.min(length));
        let annotation = AnnotationKind::Primary.span(start..end.max(start));
        group = group.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(annotation));
    } else if !diagnostic.file.is_empty() {
        group = group.element(annotate_snippets::Origin::path(&*diagnostic.file));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    vec![group]
}
