/// How often a driver tells rank 0 how far a sampler is, where nothing else is wanted: so messages grow with time, and not
/// with steps.
public struct ProgressPace: Sendable {
    /// Four times a second: no eye needs it more often.
    public static let standard = ProgressPace(every: .milliseconds(250))

    /// The shortest time between two messages.
    public let interval: Duration

    public init(every interval: Duration) { self.interval = interval }
}
