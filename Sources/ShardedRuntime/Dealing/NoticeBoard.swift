import Synchronization

/// What the drivers say of long waits, made one: what is to be told to whoever watches the job.
final class NoticeBoard: Sendable {
    private struct State {
        var handler: (@Sendable (StallNotice?) -> Void)?
        /// What each driver said last.
        var notices: [Int: StallNotice] = [:]
        var told: StallNotice?
    }

    private let state = Mutex(State())

    func onNotice(_ body: @escaping @Sendable (StallNotice?) -> Void) { state.withLock { $0.handler = body } }

    /// - Parameter busy: the drivers that have jobs now.
    func hear(_ notice: StallNotice?, from driver: Int, busy: [Int]) {
        let tell = state.withLock { state -> (() -> Void)? in
            state.notices[driver] = notice
            let next = Self.notice(of: state.notices, busy: busy)
            defer { state.told = next }
            // What goes on is told again, with the time that has passed.
            guard next != nil || state.told != nil, let handler = state.handler else { return nil }
            return { handler(next) }
        }
        tell?()
    }

    /// Ranks that do not answer matter in any case; that nothing comes, only where nothing comes from any driver.
    private static func notice(of notices: [Int: StallNotice], busy: [Int]) -> StallNotice? {
        let sorted = notices.sorted { $0.key < $1.key }.map(\.value)
        if let missing = sorted.first(where: { $0.cause == .silence || $0.cause == .absence }) { return missing }
        guard busy.allSatisfy({ notices[$0] != nil }) else { return nil }
        return sorted.min { $0.seconds < $1.seconds }
    }
}
