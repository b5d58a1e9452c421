import DiffusionModels

/// One picture to be made, by its age: a lower number is an older job.
public struct JobIdentity: Hashable, Sendable, Comparable, Codable {
    public let number: UInt32

    public init(number: UInt32) { self.number = number }

    public static func < (first: JobIdentity, second: JobIdentity) -> Bool { first.number < second.number }
}

/// One evaluation of the network, from the latent to the noise and, if it is recorded, back to the latent's gradient.
public struct PassIdentity: Hashable, Sendable {
    public let job: JobIdentity
    public let branch: GuidanceBranch
    /// Which evaluation of the job's branch, from 1.
    public let number: UInt32

    public init(job: JobIdentity, branch: GuidanceBranch, number: UInt32) {
        self.job = job
        self.branch = branch
        self.number = number
    }
}

/// A part of a pass, on one stage. Where the ladder ends, `down` goes on to what would be `up`, and `upGradient` to
/// what would be `downGradient`.
public enum Leg: UInt8, Sendable, CaseIterable {
    case down = 1
    case up, upGradient, downGradient

    public var isGradient: Bool { self == .upGradient || self == .downGradient }
}

/// What a job asks of the networks around the UNet.
public enum PictureWork: UInt8, Sendable, CaseIterable {
    /// Token ids to the text encoder's states.
    case embed = 1
    /// The photograph to its latent.
    case encode
    /// A latent to its picture.
    case decode
    /// A map to a T2I-Adapter's features.
    case adapt
    /// A picture to an IP-Adapter's tokens.
    case see
}

/// What a rank does at a time, and does not interrupt.
public enum StageTask: Hashable, Sendable {
    case leg(PassIdentity, Leg)
    /// A piece of work on a picture, which is done bit by bit, so that it never keeps a gradient waiting for long.
    case picture(JobIdentity, PictureWork, number: UInt32)

    public var job: JobIdentity {
        switch self {
        case .leg(let pass, _): pass.job
        case .picture(let job, _, _): job
        }
    }

    /// The pass that the task is a part of.
    public var pass: PassIdentity? {
        guard case .leg(let pass, _) = self else { return nil }
        return pass
    }
}
