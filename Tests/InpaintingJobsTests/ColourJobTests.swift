import Foundation
import ImageFiles
import InpaintingJobs
import Synchronization
import TestSupport
import Testing

/// Jobs on photographs whose numbers are not sRGB's.
struct ColourJobTests {
    private static let fixtures =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path()
        + "ImageFilesTests/Fixtures/Colour/"

    private func picture(_ name: String) throws -> DecodedImage { try DecodedImage.read(Self.fixtures + name) }

    /// The result of a job on the folder's mask, and what was warned of.
    private func paint(
        _ image: String, in folder: BatchFolder, pastes: Bool, compare: String? = nil
    ) async throws -> (DecodedImage, warnings: [String]) {
        var draft = folder.defaults
        draft.image = image
        draft.output = folder.file("result.png")
        draft.extras.comparison = compare
        draft.settings.pastesKeptPixels = pastes
        draft.settings.feather = 0
        let (settings, outputs) = draft.finished()
        let warnings = Mutex<[String]>([])
        let job = try InpaintingJob(settings: settings, outputs: outputs).prepared(for: folder.model) { event in
            if case .warning(let text) = event { warnings.withLock { $0.append(text) } }
        }
        _ = try await job.run(
            on: FakeEngine(folder.model.description, jobsInFlight: 1, slowest: 0), ledger: PhaseLedger())
        return (try DecodedImage.read(folder.file("result.png")), warnings.withLock { $0 })
    }

    @Test func theResultIsInThePhotographsColours() async throws {
        let folder = try BatchFolder()
        let wide = try picture("wide.png")
        let (pasted, warnings) = try await paint(
            wide.path, in: folder, pastes: true, compare: folder.file("strip.png"))
        #expect(warnings == [])
        #expect(pasted.metadata == wide.metadata)
        #expect(try DecodedImage.read(folder.file("strip.png")).metadata.colours == wide.metadata.colours)
        let isRepainted = try DecodedImage.read(folder.file("mask.png")).grey.binaryMask().values
        let (before, after) = (wide.rgb.bytes, pasted.rgb.bytes)
        let kept = isRepainted.indices.filter { isRepainted[$0] == 0 }
        #expect(!kept.isEmpty && kept.count < isRepainted.count)
        #expect(kept.allSatisfy { before[3 * $0..<3 * $0 + 3] == after[3 * $0..<3 * $0 + 3] })

        // What the network paints is what it paints on the same photograph in sRGB, in other numbers.
        let (whole, _) = try await paint(wide.path, in: folder, pastes: false)
        try wide.colours.toSRGB(wide.rgb).writePNG(to: folder.file("srgb.png"))
        let (same, _) = try await paint(folder.file("srgb.png"), in: folder, pastes: false)
        #expect(same.metadata == PictureMetadata())
        #expect(whole.rgb == wide.colours.fromSRGB(same.rgb))
        #expect(whole.rgb != same.rgb)
        let painted = isRepainted.indices.filter { isRepainted[$0] == 1 }
        #expect(painted.allSatisfy { whole.rgb.bytes[3 * $0..<3 * $0 + 3] == after[3 * $0..<3 * $0 + 3] })
    }

    @Test func profilesOfSRGBChangeNoPixel() async throws {
        let folder = try BatchFolder()
        let (plain, _) = try await paint(Self.fixtures + "plain.png", in: folder, pastes: true)
        for name in ["srgb.png", "srgb-chunk.png", "gamma-2.2.png"] {
            let (result, warnings) = try await paint(Self.fixtures + name, in: folder, pastes: true)
            #expect(warnings == [])
            #expect(result.rgb == plain.rgb, "\(name)")
            #expect(try result.metadata == picture(name).metadata)
        }
    }

    @Test func whatIsLostIsSaid() async throws {
        let folder = try BatchFolder()
        for (name, words) in [
            ("damaged.png", "its colour profile is left out: it is damaged"),
            ("grey.png", "its colour profile is left out: it is for grey pictures"),
            ("one-way.png", "its colour profile is kept, but can't be converted"),
        ] {
            let (_, warnings) = try await paint(Self.fixtures + name, in: folder, pastes: true)
            #expect(warnings.count == 1 && warnings[0].contains(words), "\(name): \(warnings)")
        }
    }
}
