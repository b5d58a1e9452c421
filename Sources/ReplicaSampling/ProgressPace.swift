/// How often a driver tells rank 0 how far a sampler is, where nothing else is wanted: so messages grow with time, and not
/// with steps.
public struct ProgressPace: Sendable {
    /// No eye needs it more often.
    private static let shortest = Duration.milliseconds(250)
    /// So many jobs may tell as often as that; of more, rank 0 hears no more than of so many.
    private static let mostJobs = 16

    /// The shortest time between two messages of one job.
    public let interval: Duration

    public init(every interval: Duration) { self.interval = interval }

    /// - Parameter jobs: how many may be in flight, on all replicas together.
    public init(jobs: Int) { interval = Self.shortest * Double(max(jobs, Self.mostJobs)) / Double(Self.mostJobs) }
}
