"""A server of the official Python SDK with one tool: `mcp_sdk_server.py stdio`, or `http PORT`."""
import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer('sdk')


@server.tool()
async def multiply(a: int, b: int, ctx: Context) -> str:
    """Multiplies two numbers."""
    await ctx.report_progress(1, 2)
    return f'product={a * b}'


if sys.argv[1] == 'stdio':
    server.run(transport='stdio')
else:
    server.run(transport='streamable-http', host='127.0.0.1', port=int(sys.argv[2]))
