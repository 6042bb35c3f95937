//! Imports: what a file, a URL, a repository or a string declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_syntax::{Diagnostic, Diagnostics, Value, ast, parse_file};

use super::{Builder, Built, Level, Making};
use crate::component::Component;
use crate::config::Source;
use crate::graph::Kind;
use crate::graph::environment::Environment;
use crate::graph::node::{Part, inner_path};
use crate::graph::plan::Inside;
use crate::import::{ImportFile, Imported};

/// Imports may bring imports; deeper than this they go on forever.
const MOST_NESTED: usize = 32;

impl Builder<'_> {
    /// Reads an import, or keeps what was read.
    pub(super) fn import(&mut self, kind: &Kind, making: &Making<'_>) -> Result<(Part, Value), Diagnostics> {
        let block = &making.planned.block;
        let error = |message: String| Diagnostics::from(Diagnostic::error(&block.file, block.header, message));
        if making.environment.remote && kind.name == ImportFile::NAME {
            let message = "what comes over the network may not bring an import.file: it would read this host's files";
            return Err(error(message.to_owned()));
        }
        if self.looks_only() && !(kind.is_known)(block, &making.scope)? {
            return Ok((Part::Checked, Value::unknown()));
        }
        let source = self.run(kind, making)?;
        let exports = source.component.exports();
        let Some(imported) = Imported::of(&exports) else { return Err(error("nothing was imported".to_owned())) };
        let previous = making.previous.and_then(|node| match &node.part {
            Part::Import { library, inner, .. } => Some((library, inner, node.exports == exports)),
            _ => None,
        });
        let files = self.parse(&imported.files)?;
        let statements: Vec<&ast::Statement> = files.iter().flat_map(|file| &file.body.statements).collect();
        if self.imports >= MOST_NESTED {
            return Err(error(format!("imports lie inside of each other more than {MOST_NESTED} deep")));
        }
        // What has no place of its own stands where it is imported.
        let own = Some(&imported.module_path).filter(|path| !path.is_empty());
        let module_path = own.unwrap_or(&making.environment.module_path);
        let level = Level {
            statements,
            inside: Inside::Library,
            path: inner_path(&making.labels),
            scope: self.stdlib.with("module_path", Value::from(&**module_path)),
            outer: BTreeMap::new(),
            environment: Arc::new(Environment {
                remote: imported.remote || making.environment.remote,
                module_path: module_path.clone(),
                ..Environment::default()
            }),
            services: making.level.services,
            previous: previous.map(|(_, inner, _)| inner),
            all: previous.is_none_or(|(.., same)| !same),
        };
        self.imports += 1;
        let built = self.level(&level);
        self.imports -= 1;
        let Built { graph: inner, environment } = built?;
        // Where it declares what it did before, those that use it need not be evaluated.
        let library = match previous {
            Some((library, before, true)) if !inner.differs_from(before) => library.clone(),
            _ => environment,
        };
        Ok((Part::Import { source, library, inner }, exports))
    }

    fn parse(&mut self, sources: &[Source]) -> Result<Vec<ast::File>, Diagnostics> {
        let mut files = Vec::with_capacity(sources.len());
        let mut errors = Diagnostics::new();
        for source in sources {
            match parse_file(&source.name, &source.text) {
                Ok(file) => files.push(file),
                Err(more) => errors.extend(more),
            }
        }
        self.sources.extend_from_slice(sources);
        if errors.has_errors() { Err(errors) } else { Ok(files) }
    }
}
