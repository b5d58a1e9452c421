import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import ShardedRuntime
import Synchronization

/// Tells the user what `pilot batch` is at.
final class BatchReport: Sendable {
    private struct State {
        /// How many jobs there are to be, if that is known.
        var total: Int?
        var done = 0
        var present = 0
        var failed = 0
        /// The share of its work that is done, of each job in flight, by its output.
        var fractions: [String: Double] = [:]
        var plans: [String: PilotPlan] = [:]
        /// How often each plan is carried out.
        var runs: [String: Int] = [:]
        /// Since when pictures are made.
        var start: ContinuousClock.Instant?
        var results: ResultsFile?
        var printingFailure: Failure?
        /// Of refused lines, until it is known whether there is a file for them.
        var early: [BatchResult]? = []
    }

    private let printsJSON: Bool
    private let line: ProgressLine
    private let state = Mutex(State())

    init(printsJSON: Bool, _ options: ReportOptions) {
        self.printsJSON = printsJSON
        line = ProgressLine(options)
    }

    /// The batch is at something that tells nothing on its way.
    func begin(_ phase: String) { line.begin(phase) }

    /// Ranks from which nothing comes; nil when it is over.
    func hear(_ notice: StallNotice?) { line.hear(notice) }

    /// The batch is about to begin: results go to a file, too, if there is one, and first those that there are.
    func begin(writing results: ResultsFile?) {
        let early = state.withLock { state in
            state.results = results
            defer { state.early = nil }
            return state.early ?? []
        }
        for result in early { results?.append(result) }
    }

    /// Why a result could not be written to the file or printed, if that was so. No job ends for it.
    var lostResult: Failure? {
        let (results, printingFailure) = state.withLock { ($0.results, $0.printingFailure) }
        return results?.failure ?? printingFailure
    }

    /// The engine is there.
    func begin(on layout: String) {
        line.clear()
        line.note("computing on \(layout)")
        state.withLock { $0.start = .now }
        show()
    }

    func observe(_ event: BatchEvent) {
        switch event {
        case .refused(let fault): line.tell("refused: \(fault.failure.message)")
        case .counted(let jobs, let present):
            state.withLock { $0.total = jobs }
            line.note(Console.count(jobs, "job") + (present > 0 ? ", \(present) of them done before" : ""))
        case .started(let job): state.withLock { $0.fractions[job.name] = 0 }
        case .job(let job, let event): observe(event, of: job)
        case .finished(let result): finish(result)
        case .ended: state.withLock { $0.total = $0.done + $0.present + $0.failed + $0.fractions.count }
        }
    }

    /// Takes the progress off the terminal.
    func clear() { line.clear() }

    private func observe(_ event: JobEvent, of job: BatchJob) {
        switch event {
        case .warning(let text): line.warn("line \(job.line), \(job.name): \(text)")
        case .note(let text): line.note("line \(job.line), \(job.name): \(text)")
        case .planned(let sizes, let plan, _):
            state.withLock { state in
                state.plans[job.name] = plan
                state.runs[job.name] = sizes.count
            }
        case .sampling(let event, let run): count(event, of: job.name, run)
        case .began, .comparing, .samplingComparison, .written: break
        }
        show()
    }

    private func count(_ event: PilotEvent, of name: String, _ run: Int) {
        state.withLock { state in
            guard let plan = state.plans[name], let runs = state.runs[name] else { return }
            let fraction: Double
            switch event {
            case .stepStarted(let step): fraction = plan.fractionDone(at: step, gradientStepsDone: 0)
            case .gradientStep(let step, let number, _):
                fraction = plan.fractionDone(at: step, gradientStepsDone: number)
            case .finalLatent: fraction = 1
            default: return
            }
            state.fractions[name] = (Double(run) + fraction) / Double(runs)
        }
    }

    private func finish(_ result: BatchResult) {
        state.withLock { $0.results }?.append(result)
        let progress = state.withLock { state in
            state.early?.append(result)
            if let name = result.output {
                state.fractions[name] = nil
                state.plans[name] = nil
                state.runs[name] = nil
            }
            switch result.status {
            case .done: state.done += 1
            case .present: state.present += 1
            case .failed: state.failed += 1
            case .refused: break
            }
            return BatchProgress(state)
        }
        if printsJSON { print(result) }
        switch result.status {
        case .failed: line.tell("failed: \(result.error ?? "")")
        case .done:
            let seconds = String(format: "%.1f s", result.seconds ?? 0)
            line.log("\(result.output ?? ""): \(seconds); \(progress.text(nil))")
        case .present, .refused: break
        }
        show()
    }

    private func show() {
        guard state.withLock({ $0.start }) != nil else { return }
        line.show { [weak self] notice in self?.state.withLock { BatchProgress($0) }.text(notice) ?? "" }
    }

    private func print(_ result: BatchResult) {
        line.clear()
        do {
            try Console.print(try result.json())
        } catch {
            let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
            state.withLock { $0.printingFailure = $0.printingFailure ?? failure }
        }
    }

    /// How far a batch is, as a line.
    private struct BatchProgress {
        private let parts: [String]

        func text(_ notice: String?) -> String {
            ([parts[0]] + [notice].compactMap { $0 } + parts.dropFirst()).joined(separator: ", ")
        }

        init(_ state: State) {
            let ready = state.done + state.present
            var parts = [state.total.map { "\(ready)/\($0) done" } ?? "\(ready) done"]
            if state.failed > 0 { parts.append("\(state.failed) failed") }
            parts.append("\(state.fractions.count) in flight")
            // What is half done counts as half: so the rate is known before the first picture is finished.
            let made = Double(state.done) + state.fractions.values.reduce(0, +)
            if let start = state.start, made > 0 {
                let rate = made / max(1e-9, (ContinuousClock.now - start).inSeconds)
                parts.append(String(format: "%.4g pictures/hour", rate * 3600))
                if let total = state.total {
                    let left = Double(total - ready - state.failed) - state.fractions.values.reduce(0, +)
                    if left > 0 { parts.append("\(ProgressReport.clock(left / rate)) left") }
                }
            }
            self.parts = parts
        }
    }
}
