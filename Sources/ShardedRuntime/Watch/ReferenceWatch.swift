import Failures

/// The other ranks' watch over rank 0: should it not answer for too long, they end the job.
final class ReferenceWatch: Sendable {
    /// What lies between the ranks' patience, so that one of them speaks, and the others only should it be gone too.
    private static let spacing = 10.0
    private static let longestSpacing = 60.0
    /// How often, in seconds, clocks are compared at least.
    private static let interval = 30.0

    private let ticker: Ticker

    init(rank: Int, clock: RankClock, timeout: Double, fault: @escaping @Sendable (Failure) -> Void) {
        let limit = timeout + min(Double(rank - 1) * Self.spacing, Self.longestSpacing)
        ticker = Ticker(every: min(max(timeout / 3, 0.05), Self.interval)) { wasStopped in
            if wasStopped { clock.forgive() }
            let silence = clock.silence
            if silence < limit { return clock.compare(tries: 3) }
            let place = clock.host(of: 0).map { "rank 0 on \($0)" } ?? "rank 0"
            fault(
                .internalFault(
                    "\(place) has not answered for \(Int(silence)) s: it is stopped, or its machine or network is gone")
            )
        }
    }

    func stop() { ticker.stop() }
}
