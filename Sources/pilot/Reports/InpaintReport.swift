import InpaintingJobs
import PilotInpainting
import Synchronization

/// Tells the user what `pilot inpaint` is at.
final class InpaintReport: Sendable {
    private struct State {
        var progress: ProgressReport?
        /// Of the pictures whose comparison is being made.
        var comparisons: [Int: ProgressReport] = [:]
    }

    private let model: String
    private let count: Int
    private let state = Mutex(State())

    /// - Parameter count: how many pictures the job makes.
    init(model: String, count: Int) {
        self.model = model
        self.count = count
    }

    func observe(_ event: JobEvent) {
        switch event {
        case .warning(let text):
            clear()
            Console.warn(text)
        case .note(let text):
            clear()
            Console.note(text)
        case .planned(let geometry, let plan, let layout):
            Console.note(Self.describe(model, geometry, plan, layout))
            state.withLock { $0.progress = ProgressReport(plan: plan, imageCount: count) }
        case .sampling(let event, let image):
            state.withLock { $0.progress }?.observe(event, image: image)
        case .comparing(let plan, let image):
            clear()
            Console.note("for comparison, blending alone")
            state.withLock { $0.comparisons[image] = ProgressReport(plan: plan, imageCount: 1, first: image) }
        case .samplingComparison(let event, let image):
            state.withLock { $0.comparisons[image] }?.observe(event, image: image)
        case .written(_, let image):
            clear()
            state.withLock { $0.comparisons[image] = nil }
        }
    }

    /// Takes the progress off the terminal.
    func clear() {
        let reports = state.withLock { [$0.progress].compactMap { $0 } + $0.comparisons.values }
        for report in reports { report.clear() }
    }

    private static func describe(
        _ model: String, _ geometry: JobGeometry, _ plan: PilotPlan, _ layout: String
    ) -> String {
        let optimised = plan.steps.filter(\.isOptimized)
        let gradientSteps = Console.count(optimised.first?.gradientSteps ?? 0, "gradient step")
        let work =
            optimised.isEmpty ? "none optimised" : "\(optimised.count) of them optimised with \(gradientSteps) each"
        return "\(model): \(geometry.summary), \(Console.count(plan.steps.count, "step")), \(work); \(layout)"
    }
}
