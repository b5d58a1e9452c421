/// How the ranks of a job are watched.
public struct Observation: Sendable, Codable, Equatable {
    /// After so many seconds without progress the rank that holds it up is named, and the job ends.
    public var stallTimeout: Double
    /// Whether every rank takes down what it does.
    public var isTraced: Bool
    /// The longest, in seconds, that nobody asks where something is that has not come.
    package var longestPatience = 10.0

    public init(stallTimeout: Double = 300, isTraced: Bool = false) {
        self.stallTimeout = stallTimeout
        self.isTraced = isTraced
    }

    /// After so many seconds without anything coming it is told since when, and from whom.
    package var patience: Double { min(longestPatience, stallTimeout / 2) }

    var recorder: TraceRecorder? { isTraced ? TraceRecorder() : nil }
}
