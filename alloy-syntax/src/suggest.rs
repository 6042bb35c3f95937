//! What a misspelt name was probably meant to be.

/// A longer name is no slip of the hand: comparing takes as many steps as the product of the lengths.
const LONGEST: usize = 100;
/// Among more names than this a nearest one says little, and a file of errors would take long to report.
const MOST: usize = 256;

/// "did you mean …?" with the nearest of the known names, if one is near enough.
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    // One slip in three letters is still a slip; more is another word.
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    // Each slip adds or takes a letter, which has four bytes at most.
    let of_like_length = |candidate: &&str| candidate.len().abs_diff(name.len()) <= 4 * allowed;
    let candidates: Vec<&str> = known.into_iter().filter(of_like_length).take(MOST + 1).collect();
    if candidates.len() > MOST {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance > 0 && distance <= allowed)
        .min()
        .map(|(_, candidate)| format!("did you mean \"{candidate}\"?"))
}
