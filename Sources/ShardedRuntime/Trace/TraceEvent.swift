import DiffusionModels

/// What happened on a rank, and when by its own clock: a few words of plain numbers, so that taking it down costs
/// nothing that a task could feel.
package struct TraceEvent: Sendable, Equatable {
    package enum Kind: UInt8, Sendable {
        /// The compute thread ran a task.
        case task = 1
        /// A message was given to the network.
        case sent
        /// A message came.
        case received
    }

    package let kind: Kind
    package let subject: TraceSubject
    /// In nanoseconds of the rank's clock.
    package let start: Int64
    package let end: Int64
    /// The other rank of a message; -1 for a task.
    package let peer: Int32
    /// The bytes of a message.
    package let bytes: UInt64

    package init(kind: Kind, subject: TraceSubject, start: Int64, end: Int64, peer: Int32, bytes: UInt64) {
        self.kind = kind
        self.subject = subject
        self.start = start
        self.end = end
        self.peer = peer
        self.bytes = bytes
    }
}

/// What an event is about. Two ranks call one message by one name, and that is how a send finds its receipt.
package struct TraceSubject: Sendable, Hashable {
    package enum Content: Hashable, Sendable {
        /// A leg, or a message that brings a leg's input.
        case leg(Leg)
        case picture(PictureWork)
        case result(isGradient: Bool)
        case pictureDone(PictureWork)
        case open
        case close
        case discard
        case discardReturned
        /// A job for the driver of another replica, and what came of it.
        case order
        case orderDone
    }

    let content: Content
    let job: UInt32
    let branch: GuidanceBranch?
    /// Of the pass, or of the work on a picture.
    let number: UInt32

    private init(_ content: Content, _ pass: PassIdentity) {
        self.init(content: content, job: pass.job.number, branch: pass.branch, number: pass.number)
    }

    private init(_ content: Content, _ request: PictureRequest) {
        self.init(content: content, job: request.job.number, branch: nil, number: request.number)
    }

    package init(content: Content, job: UInt32, branch: GuidanceBranch?, number: UInt32) {
        self.content = content
        self.job = job
        self.branch = branch
        self.number = number
    }

    init(_ task: StageTask) {
        switch task {
        case .leg(let pass, let leg): self.init(.leg(leg), pass)
        case .picture(let job, let work, let number):
            self.init(content: .picture(work), job: job.number, branch: nil, number: number)
        }
    }

    /// Nil for what is no part of a job.
    init?(_ message: StageMessage) {
        switch message {
        case .leg(let pass, let leg, _, _): self.init(.leg(leg), pass)
        case .result(let pass, let isGradient, _): self.init(.result(isGradient: isGradient), pass)
        case .discard(let pass): self.init(.discard, pass)
        case .discardReturned(let pass): self.init(.discardReturned, pass)
        case .picture(let request, _): self.init(.picture(request.work), request)
        case .pictureDone(let request, _): self.init(.pictureDone(request.work), request)
        case .open(let job, let branch, _): self.init(content: .open, job: job.number, branch: branch, number: 0)
        case .close(let job): self.init(content: .close, job: job.number, branch: nil, number: 0)
        case .order(let job, _): self.init(content: .order, job: job.number, branch: nil, number: 0)
        case .orderDone(let job, _): self.init(content: .orderDone, job: job.number, branch: nil, number: 0)
        default: return nil
        }
    }
}

extension TraceSubject.Content {
    /// As one number, for the wire.
    var code: UInt8 {
        switch self {
        case .leg(let leg): 0x10 + leg.rawValue
        case .picture(let work): 0x20 + work.rawValue
        case .result(let isGradient): isGradient ? 0x31 : 0x30
        case .pictureDone(let work): 0x40 + work.rawValue
        case .open: 0x50
        case .close: 0x51
        case .discard: 0x52
        case .discardReturned: 0x53
        case .order: 0x54
        case .orderDone: 0x55
        }
    }

    init?(code: UInt8) {
        switch (code, code & 0xf) {
        case (0x10...0x1f, let number): self.init(Leg(rawValue: number).map { .leg($0) })
        case (0x20...0x2f, let number): self.init(PictureWork(rawValue: number).map { .picture($0) })
        case (0x30...0x31, let number): self = .result(isGradient: number == 1)
        case (0x40...0x4f, let number): self.init(PictureWork(rawValue: number).map { .pictureDone($0) })
        case (0x50, _): self = .open
        case (0x51, _): self = .close
        case (0x52, _): self = .discard
        case (0x53, _): self = .discardReturned
        case (0x54, _): self = .order
        case (0x55, _): self = .orderDone
        default: return nil
        }
    }

    private init?(_ content: Self?) {
        guard let content else { return nil }
        self = content
    }
}
