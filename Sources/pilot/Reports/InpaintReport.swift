import InpaintingJobs
import PilotInpainting
import ShardedRuntime
import Synchronization

/// Tells the user what `pilot inpaint` is at.
final class InpaintReport: Sendable {
    private struct State {
        var progress: ProgressReport?
        /// Of the pictures whose comparison is being made.
        var comparisons: [Int: ProgressReport] = [:]
    }

    private let settings: JobSettings
    private let count: Int
    private let line: ProgressLine
    private let state = Mutex(State())

    /// - Parameter count: how many pictures the job makes.
    init(_ settings: JobSettings, count: Int, _ options: ReportOptions) {
        self.settings = settings
        self.count = count
        line = ProgressLine(options)
    }

    /// The job is at something that tells nothing on its way.
    func begin(_ phase: String) { line.begin(phase) }

    /// Ranks from which nothing comes; nil when it is over.
    func hear(_ notice: StallNotice?) { line.hear(notice) }

    func observe(_ event: JobEvent) {
        switch event {
        case .warning(let text): line.warn(text)
        case .note(let text): line.note(text)
        case .began(.decoding) where count > 1: break
        case .began(let phase): line.begin(phase.rawValue)
        case .planned(let geometry, let plan, let layout):
            line.clear()
            line.note(describe(geometry, plan, layout))
            state.withLock { $0.progress = ProgressReport(plan: plan, imageCount: count, line: line) }
        case .sampling(let event, let image):
            state.withLock { $0.progress }?.observe(event, image: image)
        case .comparing(let plan, let image):
            line.note("for comparison, blending alone")
            state.withLock {
                $0.comparisons[image] = ProgressReport(plan: plan, imageCount: 1, first: image, line: line)
            }
        case .samplingComparison(let event, let image):
            state.withLock { $0.comparisons[image] }?.observe(event, image: image)
        case .written(_, let image):
            line.clear()
            state.withLock { $0.comparisons[image] = nil }
        }
    }

    /// Takes the progress off the terminal.
    func clear() { line.clear() }

    private func describe(_ geometry: JobGeometry, _ plan: PilotPlan, _ layout: String) -> String {
        let optimised = plan.steps.filter(\.isOptimized)
        let gradientSteps = Console.count(optimised.first?.gradientSteps ?? 0, "gradient step")
        let work =
            optimised.isEmpty ? "none optimised" : "\(optimised.count) of them optimised with \(gradientSteps) each"
        return "\(settings.model): \(geometry.summary), \(Console.count(plan.steps.count, "step")), \(work), "
            + "\(ResultLine.seeds(settings.method.seed, count: count)); \(layout)"
    }
}
