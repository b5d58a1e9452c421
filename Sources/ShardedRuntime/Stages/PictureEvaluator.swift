/// Computes the networks around the UNet on a rank, bit by bit. All calls come from the rank's compute thread.
public protocol PictureEvaluator: Sendable {
    /// Starts work on a picture.
    func begin(_ work: PictureWork, _ input: PictureValue) throws -> any PictureComputation
    /// Nothing is under way any more: what can be loaded again may go.
    func rest()
}

/// Work on a picture under way.
public protocol PictureComputation: AnyObject {
    /// Does the next bit, no longer than about a stage's task; nil while there is more to do.
    func advance() throws -> PictureValue?
}
