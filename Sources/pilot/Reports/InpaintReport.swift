import InpaintingJobs
import PilotInpainting
import ShardedRuntime
import Synchronization

/// Tells the user what `pilot inpaint` is at.
final class InpaintReport: Sendable {
    private struct State {
        var progress: ProgressReport?
        /// Of the sampler's runs whose comparison is being made.
        var comparisons: [Int: ProgressReport] = [:]
        /// How many runs a picture has.
        var cuts = 1
    }

    private let settings: JobSettings
    private let count: Int
    /// Which of several edits this is, if there are several.
    private let edit: (number: Int, count: Int)
    private let line: ProgressLine
    private let state = Mutex(State())

    /// - Parameters:
    ///   - count: how many pictures the job makes.
    ///   - edit: which edit it is, and of how many.
    init(_ settings: JobSettings, count: Int, edit: (number: Int, count: Int), _ options: ReportOptions) {
        self.edit = edit
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
        case .planned(let sizes, let plan, let layout):
            line.clear()
            line.note(describe(sizes, plan, layout))
            state.withLock { state in
                state.cuts = sizes.count
                state.progress = ProgressReport(
                    plan: plan, edit: editWord, runCount: count * sizes.count, called: name(cuts: sizes.count),
                    line: line)
            }
        case .sampling(let event, let run):
            state.withLock { $0.progress }?.observe(event, run: run)
        case .comparing(let plan, let run):
            line.note("for comparison, blending alone")
            state.withLock {
                $0.comparisons[run] = ProgressReport(
                    plan: plan, edit: editWord, runCount: 1, first: run, called: name(cuts: $0.cuts), line: line)
            }
        case .samplingComparison(let event, let run):
            state.withLock { $0.comparisons[run] }?.observe(event, run: run)
        case .written(_, let image):
            line.clear()
            state.withLock { state in
                for run in image * state.cuts..<(image + 1) * state.cuts { state.comparisons[run] = nil }
            }
        }
    }

    /// Takes the progress off the terminal.
    func clear() { line.clear() }

    /// `edit 2/3` for the second of three edits.
    private var editWord: String? { edit.count > 1 ? "edit \(edit.number)/\(edit.count)" : nil }

    /// What the sampler's runs make.
    private func name(cuts: Int) -> String { cuts == 1 ? "image" : count == 1 ? "cut" : "cut of an image" }

    private func describe(_ sizes: [JobGeometry], _ plan: PilotPlan, _ layout: String) -> String {
        let optimised = plan.steps.filter(\.isOptimized)
        let gradientSteps = Console.count(optimised.first?.gradientSteps ?? 0, "gradient step")
        let work =
            optimised.isEmpty ? "none optimised" : "\(optimised.count) of them optimised with \(gradientSteps) each"
        return (editWord.map { "\($0), " } ?? "")
            + "\(settings.model): \(sizes.summary), \(Console.count(plan.steps.count, "step")), \(work), "
            + "\(ResultLine.seeds(settings.method.seed, count: count)); \(layout)"
    }
}
