import Failures
import Synchronization

/// The room that replicas have for jobs: as many credits for each as jobs may be in flight there. Whoever asks for one
/// too many waits, the one who asked first first.
final class Admission: Sendable {
    private struct Request {
        let job: JobIdentity
        /// The only replica that will do, if there is one.
        let replica: Int?
        let continuation: CheckedContinuation<Int, any Error>
    }

    private struct State {
        var openJobs: [Int]
        var queue: [Request] = []
    }

    /// The most jobs that a replica has in flight.
    let jobsInFlight: Int
    private let fault: FaultSign
    private let state: Mutex<State>

    init(replicas: Int, jobsInFlight: Int, fault: FaultSign) {
        self.jobsInFlight = jobsInFlight
        self.fault = fault
        state = Mutex(State(openJobs: [Int](repeating: 0, count: replicas)))
    }

    /// How many jobs each replica has.
    var openJobs: [Int] { state.withLock { $0.openJobs } }

    /// Takes room for a job, in the emptiest replica, as soon as there is some.
    ///
    /// - Parameter wanted: the replica that it must be, if it must.
    /// - Returns: the replica.
    func enter(_ job: JobIdentity, on wanted: Int? = nil) async throws -> Int {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<Int, any Error>? in
                    if let failure = fault.failure { return .failure(failure) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let candidates = wanted.map { $0..<$0 + 1 } ?? state.openJobs.indices
                    let emptiest = candidates.min { state.openJobs[$0] < state.openJobs[$1] } ?? 0
                    guard state.openJobs[emptiest] < jobsInFlight else {
                        state.queue.append(Request(job: job, replica: wanted, continuation: continuation))
                        return nil
                    }
                    state.openJobs[emptiest] += 1
                    return .success(emptiest)
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> CheckedContinuation<Int, any Error>? in
                guard let index = state.queue.firstIndex(where: { $0.job == job }) else { return nil }
                return state.queue.remove(at: index).continuation
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// Gives a job's room to who has waited longest for it.
    func leave(_ replica: Int) {
        let next = state.withLock { state -> CheckedContinuation<Int, any Error>? in
            guard let index = state.queue.firstIndex(where: { $0.replica ?? replica == replica }) else {
                state.openJobs[replica] -= 1
                return nil
            }
            return state.queue.remove(at: index).continuation
        }
        next?.resume(returning: replica)
    }

    func fail(_ failure: Failure) {
        let queue = state.withLock { state in
            defer { state.queue = [] }
            return state.queue
        }
        for request in queue { request.continuation.resume(throwing: failure) }
    }
}
