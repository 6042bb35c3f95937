//! Changes of what is inside a profile, and flame graphs of it.

use bytes::Bytes;
use profiler_core::flame::{PprofMessage, Side, TreeBuilder};
use profiler_core::pprof::edit::{ChangeError, Edited, Editing, FinishError, LabelValue, SampleLabel};
use profiler_core::pprof::{PprofError, Profile};

/// Most bytes of a profile after decompression.
const LIMIT: usize = 1 << 20;
/// The first bytes of an input say what is changed, the others are the profile.
const CHANGES: usize = 24;
const TEXTS: [&str; 4] = ["", "a", "b", "redacted"];

/// What does not hold, and for which profile.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// What came of an edit is no profile.
    #[error("edited, it cannot be read: {0}")]
    Unreadable(#[from] PprofError),
    /// What came of an edit could not be written.
    #[error(transparent)]
    Unwritten(#[from] FinishError),
    /// Nothing is left, and it was sent on all the same.
    #[error("edited, it has no sample or no sample type")]
    Empty,
    /// An index of a text leads nowhere, or a text stands twice.
    #[error("edited, it has texts that stand twice, or not at all: {0:?}")]
    Texts(Vec<String>),
    /// A profile was changed by no change.
    #[error("edited, it is changed by no change")]
    Restless,
    /// A flame graph has more or less in it than the samples.
    #[error("drawn, it has {drawn} in all, and its samples have {counted}")]
    Drawn {
        /// In the flame graph.
        drawn: u64,
        /// In the samples.
        counted: u64,
    },
}

/// Whether everything holds that must hold for any input. A panic is a failure too, and comes through.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    let Some((changes, profile)) = input.split_at_checked(CHANGES) else { return Ok(()) };
    check_drawn(profile)?;
    let Ok(mut editing) = Editing::open(&Bytes::copy_from_slice(profile), LIMIT) else { return Ok(()) };
    for change in changes.as_chunks::<4>().0 {
        // A refusal leaves what was changed before it, and that must hold too.
        let _refused = make(*change, &mut editing).is_err();
    }
    let Edited::Changed(bytes) = editing.finish()? else { return Ok(()) };

    // A new name may be longer than the old one.
    let edited = Editing::open(&bytes, 2 * LIMIT)?;
    check_profile(edited.original().profile())?;
    match edited.finish()? {
        Edited::Unchanged => Ok(()),
        Edited::Empty | Edited::Changed(_) => Err(Broken::Restless),
    }
}

/// Whatever the profile is, it is drawn with all that it counts, or refused.
fn check_drawn(message: &[u8]) -> Result<(), Broken> {
    let Ok(read) = PprofMessage::read(message) else { return Ok(()) };
    let Some(first) = read.types().first() else { return Ok(()) };
    let mut tree = TreeBuilder::default();
    if tree.add_message(&read, &first.kind, Side::Shown).is_err() {
        return Ok(());
    }
    let drawn = tree.finish().total().shown;
    let Ok(profile) = Profile::from_bytes(&Bytes::copy_from_slice(message), LIMIT) else { return Ok(()) };
    let values = profile.sample.iter().filter_map(|sample| sample.value.first());
    let counted = values.filter_map(|value| u64::try_from(*value).ok()).fold(0, u64::saturating_add);
    if drawn == counted { Ok(()) } else { Err(Broken::Drawn { drawn, counted }) }
}

fn make([what, place, first, second]: [u8; 4], editing: &mut Editing) -> Result<(), ChangeError> {
    let place = usize::from(place);
    let text = |byte: u8| TEXTS.get(usize::from(byte) % TEXTS.len()).copied().unwrap_or_default();
    let changes = editing.changes();
    match what % 5 {
        0 => changes.drop_samples([place]),
        1 => changes.drop_sample_types([place]),
        2 => changes.rename_function(place, text(first), (second < 128).then(|| text(second))),
        3 => {
            let value = if second < 128 { LabelValue::Text(text(second)) } else { LabelValue::Number(1, text(second)) };
            changes.set_sample_labels(place, [SampleLabel { key: text(first), value }])
        }
        _ => changes.set_sample_labels(place, []),
    }
}

fn check_profile(profile: &Profile) -> Result<(), Broken> {
    if profile.sample.is_empty() || profile.sample_type.is_empty() {
        return Err(Broken::Empty);
    }
    let mut texts = profile.string_table.clone();
    texts.sort_unstable();
    texts.dedup();
    let labels = profile.sample.iter().flat_map(|sample| &sample.label);
    let mut indexes = labels
        .flat_map(|label| [label.key, label.str, label.num_unit])
        .chain(profile.function.iter().flat_map(|function| [function.name, function.system_name, function.filename]));
    if texts.len() < profile.string_table.len() || indexes.any(|index| profile.text(index).is_none()) {
        return Err(Broken::Texts(profile.string_table.clone()));
    }
    Ok(())
}
