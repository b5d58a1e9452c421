import Foundation
import InpaintingJobs
import ShardedRuntime
import Synchronization

/// What a job is at, now: a line that is drawn over itself every second, so that it shows at all times that time
/// passes; or lines in a log, when something takes long.
final class ProgressLine: Sendable {
    /// What is to be seen; with what to say of ranks from which nothing comes, if there are any.
    typealias Text = @Sendable (_ notice: String?) -> String

    private struct State {
        var text: Text?
        /// A part of the job that tells nothing on its way.
        var phase: (name: String, start: ContinuousClock.Instant, nextLine: Double)?
        var notice: (notice: StallNotice, time: ContinuousClock.Instant)?
        /// The seconds of silence at which a log has its next line of it.
        var nextNotice = 0.0
        /// The longest that ranks have computed without anything coming, which is no news any more.
        var longestWork = 0.0
        var pace = LogPace()
        var isDrawn = false
        var drawn = ContinuousClock.now - .seconds(1)
        var ticker: Ticker?
    }

    /// A log hears of a phase after so many seconds, and then whenever they have doubled.
    private static let longPhase = 5.0
    /// On a terminal no eye needs it more often.
    private static let shortestFrame = Duration.milliseconds(50)
    /// How often longer than ever before ranks compute when a log is told.
    private static let unusual = 3.0

    private let style: ProgressStyle
    private let isQuiet: Bool
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(_ options: ReportOptions) {
        style = options.style
        isQuiet = options.quiet
        guard style == .bar || style == .lines else { return }
        let ticker = Ticker(every: 1) { [weak self] _ in self?.tick() }
        state.withLock { $0.ticker = ticker }
    }

    /// Shows `text` from now on, on a terminal.
    func show(_ text: @escaping Text) {
        state.withLock { state in
            state.text = text
            state.phase = nil
            if ContinuousClock.now - state.drawn >= Self.shortestFrame { draw(&state) }
        }
    }

    /// Shows that a part of the job has begun, and how long it takes.
    func begin(_ phase: String) {
        let start = ContinuousClock.now
        state.withLock { state in
            state.phase = (phase, start, Self.longPhase)
            state.text = { notice in
                let passed = (ContinuousClock.now - start).inSeconds
                return ([phase, ProgressReport.clock(passed)] + [notice].compactMap { $0 }).joined(separator: "  ")
            }
            draw(&state)
        }
    }

    /// Writes a line into a log, if it is due for one.
    func log(_ line: @autoclosure () -> String) {
        guard style == .lines else { return }
        let passed = (ContinuousClock.now - start).inSeconds
        if state.withLock({ $0.pace.isDue(at: passed) }) { Console.note(line()) }
    }

    /// Takes the line off the terminal; nothing is shown until there is something new.
    func clear() {
        state.withLock { state in
            state.text = nil
            state.phase = nil
            erase(&state)
        }
    }

    /// Writes a line of its own, above the line that is shown, if anybody wants to know.
    func note(_ text: String) {
        if !isQuiet { tell(text) }
    }

    func warn(_ text: String) { tell("warning: \(text)") }

    /// Writes a line of its own in any case.
    func tell(_ text: String) {
        state.withLock { state in
            erase(&state)
            Console.note(text)
            draw(&state)
        }
    }

    // MARK: Ranks

    /// Hears of ranks from which nothing comes, and of nil when something came.
    func hear(_ notice: StallNotice?) {
        state.withLock { state in
            if let notice {
                state.notice = (notice, .now)
                logNotice(&state)
            } else if let last = state.notice {
                let seconds = Self.seconds(of: last)
                if last.notice.cause == .work { state.longestWork = max(state.longestWork, seconds) }
                if style == .lines, last.notice.cause != .work, state.nextNotice > 0 {
                    Console.note("going on, after \(Int(seconds)) s, with \(last.notice.ranks)")
                }
                (state.notice, state.nextNotice) = (nil, 0)
            }
            draw(&state)
        }
    }

    /// Ranks that compute are what everybody expects, unless it takes far longer than before.
    private func logNotice(_ state: inout State) {
        guard style == .lines, let told = state.notice, state.phase == nil || told.notice.cause != .work else { return }
        let seconds = Self.seconds(of: told)
        let isUsual = told.notice.cause == .work && seconds < Self.unusual * state.longestWork
        guard !isUsual, seconds >= state.nextNotice else { return }
        state.nextNotice = 2 * seconds
        Console.note(told.notice.text(seconds: seconds))
    }

    private static func seconds(of told: (notice: StallNotice, time: ContinuousClock.Instant)) -> Double {
        told.notice.seconds + (ContinuousClock.now - told.time).inSeconds
    }

    // MARK: Time

    private func tick() {
        state.withLock { state in
            draw(&state)
            logNotice(&state)
            guard style == .lines, let phase = state.phase else { return }
            let passed = (ContinuousClock.now - phase.start).inSeconds
            guard passed >= phase.nextLine else { return }
            state.phase?.nextLine = 2 * passed
            Console.note("\(phase.name), \(Int(passed)) s so far")
        }
    }

    private func draw(_ state: inout State) {
        guard style == .bar, let text = state.text else { return }
        let notice = state.notice.map { $0.notice.brief(seconds: Self.seconds(of: $0)) }
        let line = text(notice).prefix(Console.width - 1)
        state.isDrawn = true
        state.drawn = .now
        // The cursor rests before the line, so that whatever is printed next, an error say, goes over it.
        Console.write("\(line)\u{1b}[K\r")
    }

    private func erase(_ state: inout State) {
        guard state.isDrawn else { return }
        state.isDrawn = false
        Console.write("\u{1b}[K")
    }
}
