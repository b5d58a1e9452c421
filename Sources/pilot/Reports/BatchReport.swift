import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import Synchronization

/// Tells the user what `pilot batch` is at: a line that is drawn over itself on a terminal, lines in a log.
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
        /// Since when pictures are made.
        var start: ContinuousClock.Instant?
        var isDrawn = false
        var results: ResultsFile?
        var printingFailure: Failure?
        /// Of refused lines, until it is known whether there is a file for them.
        var early: [BatchResult]? = []
    }

    private let printsJSON: Bool
    private let isTerminal = Console.isTerminal
    private let state = Mutex(State())

    init(printsJSON: Bool) { self.printsJSON = printsJSON }

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
        note("computing on \(layout)")
        state.withLock { $0.start = .now }
    }

    func observe(_ event: BatchEvent) {
        switch event {
        case .refused(let fault): note("refused: \(fault.failure.message)")
        case .counted(let jobs, let present):
            state.withLock { $0.total = jobs }
            note(Console.count(jobs, "job") + (present > 0 ? ", \(present) of them done before" : ""))
        case .started(let job): state.withLock { $0.fractions[job.name] = 0 }
        case .job(let job, let event): observe(event, of: job)
        case .finished(let result): finish(result)
        case .ended: state.withLock { $0.total = $0.done + $0.present + $0.failed + $0.fractions.count }
        }
    }

    /// Takes the progress off the terminal.
    func clear() {
        let wasDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if wasDrawn { Console.write("\u{1b}[K") }
    }

    private func observe(_ event: JobEvent, of job: BatchJob) {
        switch event {
        case .warning(let text): note("warning: line \(job.line), \(job.name): \(text)")
        case .note(let text): note("line \(job.line), \(job.name): \(text)")
        case .planned(_, let plan, _): state.withLock { $0.plans[job.name] = plan }
        case .sampling(let event, _): count(event, of: job.name)
        case .comparing, .samplingComparison, .written: break
        }
        draw()
    }

    private func count(_ event: PilotEvent, of name: String) {
        state.withLock { state in
            guard let plan = state.plans[name] else { return }
            switch event {
            case .stepStarted(let step):
                state.fractions[name] = plan.fractionDone(at: step, gradientStepsDone: 0)
            case .gradientStep(let step, let number, _):
                state.fractions[name] = plan.fractionDone(at: step, gradientStepsDone: number)
            case .finalLatent: state.fractions[name] = 1
            default: break
            }
        }
    }

    private func finish(_ result: BatchResult) {
        state.withLock { $0.results }?.append(result)
        let progress = state.withLock { state in
            state.early?.append(result)
            if let name = result.output {
                state.fractions[name] = nil
                state.plans[name] = nil
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
        case .failed: note("failed: \(result.error ?? "")")
        case .done where !isTerminal:
            let seconds = String(format: "%.1f s", result.seconds ?? 0)
            note("\(result.output ?? ""): \(seconds); \(progress.text)")
        case .done, .present, .refused: break
        }
        draw()
    }

    private func print(_ result: BatchResult) {
        clear()
        do {
            try Console.print(try result.json())
        } catch {
            let failure = error as? Failure ?? .internalFault("unexpected error: \(error)")
            state.withLock { $0.printingFailure = $0.printingFailure ?? failure }
        }
    }

    private func draw() {
        guard isTerminal else { return }
        let progress = state.withLock { state in
            state.isDrawn = true
            return BatchProgress(state)
        }
        // The cursor rests before the line, so that whatever is printed next goes over it.
        Console.write("\(progress.text.prefix(Console.terminalWidth - 1))\u{1b}[K\r")
    }

    private func note(_ text: String) {
        clear()
        Console.note(text)
    }

    /// How far a batch is, as a line.
    private struct BatchProgress {
        let text: String

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
            text = parts.joined(separator: ", ")
        }
    }
}
