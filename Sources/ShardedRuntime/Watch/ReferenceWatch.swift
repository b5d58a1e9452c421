import Failures
import Synchronization

/// The other ranks' watch over rank 0: should it not answer for long, one of them says so, and for too long, they end
/// the job.
final class ReferenceWatch: Sendable {
    /// What lies between the ranks' patience, so that one of them speaks, and the others only should it be gone too.
    private static let spacing = 10.0
    private static let longestSpacing = 60.0
    /// How often, in seconds, clocks are compared at least.
    private static let interval = 30.0
    /// The rank that says that rank 0 does not answer.
    private static let speaker = 1

    private let ticker: Ticker

    /// - Parameter notify: hears on one rank of rank 0's silence, ever more rarely while it lasts.
    init(
        rank: Int, clock: RankClock, observation: Observation, notify: @escaping @Sendable (StallNotice) -> Void,
        fault: @escaping @Sendable (Failure) -> Void
    ) {
        let (timeout, patience) = (observation.stallTimeout, observation.patience)
        let limit = timeout + min(Double(rank - 1) * Self.spacing, Self.longestSpacing)
        let interval = min(max(timeout / 3, 0.05), Self.interval)
        let isSpeaker = rank == Self.speaker
        let nextNotice = Mutex(patience)
        ticker = Ticker(every: isSpeaker ? min(interval, patience / 2) : interval) { wasStopped in
            if wasStopped { clock.forgive() }
            let silence = clock.silence
            let name = clock.host(of: 0).map { "rank 0 on \($0)" } ?? "rank 0"
            guard silence < limit else {
                return fault(
                    .internalFault(
                        "\(name) has not answered for \(Int(silence)) s: it is stopped, or its machine or network is "
                            + "gone"))
            }
            let isDue = nextNotice.withLock { next in
                if silence < patience { next = patience }
                guard isSpeaker, silence >= next else { return false }
                next = 2 * silence
                return true
            }
            if isDue { notify(StallNotice(cause: .silence, seconds: silence, ranks: name)) }
            clock.compare(tries: 3)
        }
    }

    func stop() { ticker.stop() }
}
