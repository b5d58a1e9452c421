import Foundation
import ImageFiles
import TensorKernels
import TestSupport
import Testing

/// At which size a job is computed. The fixture's model was "trained" at 64 x 64, and its coarsest level has cells of 32
/// pixels.
@Suite struct SizeTests {
    /// A grey picture and a mask with a hole of its own size.
    private func draw(_ width: Int, _ height: Int, hole: (x: Range<Int>, y: Range<Int>), in runner: PilotRunner) throws
    {
        try RGBImage(width: width, height: height, bytes: [UInt8](repeating: 128, count: 3 * width * height))
            .writePNG(to: runner.path("image.png"))
        let mask = (0..<height).flatMap { y in
            (0..<width).flatMap { x in
                [UInt8](repeating: hole.x.contains(x) && hole.y.contains(y) ? 255 : 0, count: 3)
            }
        }
        try RGBImage(width: width, height: height, bytes: mask).writePNG(to: runner.path("mask.png"))
    }

    /// What would make a picture of repeated objects is computed near the model's own size; the rest as it is.
    @Test(
        arguments: [
            (200, 150, "200x150, computed at 96x64 (the model was trained at 64x64; "),
            (300, 100, "300x100, computed at 96x32 ("), (100, 300, "100x300, computed at 32x96 ("),
            (2000, 40, "2000x40, computed at 512x32 ("), (2500, 2000, "2500x2000, computed at 64x64 ("),
            (129, 128, "129x128, computed at 64x64 ("), (128, 128, "128x128, 1 step"),
            (120, 130, "120x130, computed at 120x128, 1 step"),
        ])
    func sizeFollowsTheModel(width: Int, height: Int, said: String) async throws {
        let runner = try PilotRunner()
        try draw(width, height, hole: (0..<width / 2, 0..<height / 2), in: runner)
        let result = try await runner.inpaint(
            runner.job + ["--area", "whole", "--steps", "1", "--coherence", "0", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.errors.contains(said), "\(result.errors)")
        #expect(!result.errors.contains("warning"), "\(result.errors)")
        let picture = try DecodedImage.read(runner.path("a.png"))
        #expect(picture.width == width && picture.height == height)
    }

    /// Of what would be made smaller, the hole and as much again on every side as half of it is computed.
    @Test(
        arguments: [
            (
                200, 150,
                "200x150, of which 128x128 around the hole are computed at 64x64 (scale 0.5), since the model was"
            ),
            (2500, 2000, "2500x2000, of which 128x128 around the hole are computed at 64x64 (scale 0.5), since"),
            (128, 128, "128x128, 1 step"),
            (129, 128, "129x128, of which 128x128 around the hole are computed at 64x64"),
        ])
    func largePhotographsAreCut(width: Int, height: Int, said: String) async throws {
        let runner = try PilotRunner()
        try draw(width, height, hole: (32..<96, 40..<96), in: runner)
        let result = try await runner.inpaint(
            runner.job + ["--steps", "1", "--coherence", "0", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.errors.contains(said), "\(result.errors)")
        #expect(!result.errors.contains("warning"), "\(result.errors)")
        let picture = try DecodedImage.read(runner.path("a.png"))
        #expect(picture.width == width && picture.height == height)
    }

    @Test func askedSizeIsObeyed() async throws {
        let runner = try PilotRunner()
        try draw(200, 150, hole: (0..<100, 0..<75), in: runner)
        let result = try await runner.inpaint(
            runner.job + ["--steps", "1", "--coherence", "0", "--size", "200x152", "--output", runner.path("a.png")])
        #expect(result.exitCode == 0, "\(result.errors)")
        #expect(result.errors.contains("200x150, computed at 200x152, 1 step"), "\(result.errors)")
        #expect(result.errors.contains("warning: the job's size is 200x152"), "\(result.errors)")
        #expect(result.errors.contains("--size 96x64"), "\(result.errors)")
    }

    /// A hole that is lost when the picture is made smaller still touches its cell.
    @Test func smallHolesAreCovered() async throws {
        let runner = try PilotRunner()
        try draw(512, 512, hole: (261..<264, 133..<136), in: runner)
        let job =
            runner.job + ["--area", "whole", "--steps", "1", "--coherence", "0", "--output", runner.path("a.png")]
        let nearest = try await runner.inpaint(job)
        #expect(nearest.errors.contains("fall between the latent's cells"), "\(nearest.errors)")
        let result = try await runner.inpaint(
            job + ["--mask-downsample", "max", "--dump", runner.path("a.safetensors"), "--overwrite"])
        #expect(result.exitCode == 0, "\(result.errors)")
        let mask = try #require(try TensorFile(runner.path("a.safetensors")).tensors["latent_mask"])
        #expect(mask.shape == [16, 16])
        let values = mask.float32Values()
        // A cell has 32 pixels of the photograph along a side.
        #expect(values.indices.filter { values[$0] == 1 } == [133 / 32 * 16 + 261 / 32])
    }
}
