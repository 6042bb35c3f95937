//! Values that the language passes on without looking into them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::Value;

/// What may be put in a [`Capsule`].
pub trait CapsuleValue: Any + Send + Sync {
    /// What kind of thing it is, for error messages: `secret`, `receiver`, …
    fn type_name(&self) -> &str;

    /// Whether the language's `==` finds it equal to another; unless said otherwise, if they are one object.
    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        std::ptr::addr_eq(std::ptr::from_ref(self), std::ptr::from_ref(other))
    }

    /// The object as which its fields can be read, if there is one.
    fn to_object(&self) -> Option<Value> {
        None
    }

    /// What to show of it to a person, if there is more to show than its type. Never what a secret hides.
    fn display(&self) -> Option<String> {
        None
    }
}

/// A value of which the language only knows the type. A clone is the same object.
#[derive(Clone)]
pub struct Capsule(Arc<dyn CapsuleValue>);

impl Capsule {
    /// Puts a value in a capsule.
    pub fn new(value: impl CapsuleValue) -> Self {
        Self(Arc::new(value))
    }

    /// Puts a shared value in a capsule.
    pub fn from_arc<T: CapsuleValue>(value: Arc<T>) -> Self {
        Self(value)
    }

    /// What kind of thing is in it.
    pub fn type_name(&self) -> &str {
        self.0.type_name()
    }

    /// The object as which its fields can be read, if there is one.
    pub fn to_object(&self) -> Option<Value> {
        self.0.to_object()
    }

    /// What to show of it to a person, if there is more to show than its type.
    pub fn display(&self) -> Option<String> {
        self.0.display()
    }

    /// What is in it, if it is a `T`.
    pub fn downcast_ref<T: CapsuleValue>(&self) -> Option<&T> {
        let value: &dyn Any = &*self.0;
        value.downcast_ref()
    }

    /// What is in it, shared, if it is a `T`.
    pub fn downcast_arc<T: CapsuleValue>(&self) -> Option<Arc<T>> {
        let value: Arc<dyn Any + Send + Sync> = Arc::<dyn CapsuleValue>::clone(&self.0);
        value.downcast().ok()
    }
}

impl PartialEq for Capsule {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl fmt::Debug for Capsule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capsule({})", self.type_name())
    }
}
