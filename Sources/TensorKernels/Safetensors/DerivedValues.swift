/// How a tensor's values come from those of another, whenever they are read.
public protocol DerivedValues: Sendable {
    /// What tells this way from any other: the same in every process that derives the same values.
    var identity: String { get }

    /// Changes the other tensor's values, row-major, in place.
    ///
    /// - Parameter context: whose threads share the work; nil for the calling thread alone. No bit depends on it.
    func change(_ values: UnsafeMutablePointer<Float>, in context: ComputeContext?)

    /// Lets the system take back the memory that computing has brought in.
    func releasePages()
}
