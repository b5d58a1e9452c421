import Failures
import Foundation
import InpaintingJobs
import PilotInpainting
import Testing

/// A file beside the picture that can't be written at last, whatever was found out before, costs no picture.
@Suite struct PictureFirstTests {
    /// Makes two pictures, and takes away the folder of everything else once the first latent is there.
    @Test(arguments: ["dump", "comparison", "preview"])
    func picturesAreWrittenAllTheSame(extra: String) async throws {
        let folder = try BatchFolder()
        let beside = folder.file("beside")
        try FileManager.default.createDirectory(atPath: beside, withIntermediateDirectories: false)
        var outputs = JobOutputs(picture: folder.file("a.png"))
        outputs.count = 2
        switch extra {
        case "dump": outputs.dump = "\(beside)/a.safetensors"
        case "comparison": outputs.comparison = "\(beside)/a.png"
        default: outputs.preview = "\(beside)/previews"
        }
        let engine = FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0) { count in
            if count == 0 { try FileManager.default.removeItem(atPath: beside) }
        }
        var settings = folder.defaults.settings
        (settings.image, settings.mask) = (folder.file("image.png"), folder.file("mask.png"))
        let job = InpaintingJob(settings: settings, outputs: outputs)
        var files = FileClaims()
        try job.check(in: &files, overwrites: false)
        let prepared = try job.prepared(for: folder.model) { _ in }
        let failure = await #expect(throws: Failure.self) {
            try await prepared.run(on: engine, ledger: PhaseLedger())
        }
        #expect(failure?.kind == .inputOutput)
        #expect(failure?.message.hasSuffix("all 2 pictures are written") == true, "\(failure?.message ?? "")")
        for number in 1...2 {
            let picture = try JobRecord(fromResult: folder.file("a-\(number).png"))
            #expect(picture.settings.method.seed == UInt64(number - 1))
        }
        #expect(engine.counts.runs == engine.counts.finished)
    }
}
